import { glob } from "node:fs/promises";
import { join } from "node:path";

import * as z from "zod";

import type { Signal } from "../../core/analysis/index.ts";
import type { LogSource, Metric } from "../../core/policy/index.ts";
import { endOf, inodeOf, placeSchema, readOn, type Place } from "./file-follower.ts";
import { MOST_LINES } from "./last-lines.ts";
import { lineJudge, type JudgedLine } from "./log-line.ts";
import { redacted } from "./redact.ts";
import {
  brokenSignal,
  NOTHING_NEW,
  signalOf,
  type Seen,
  type SignalSource,
  type Watched,
} from "./watched.ts";

type LogMetric = Extract<Metric, { kind: "logs" }>;
type Arm = "candidate" | "stable";

const MOST_FILES = 100;
const NAME = "logs";

const logCursorSchema = z.object({
  files: z.record(z.string(), placeSchema),
  /** The candidate's last error lines, redacted. */
  recent: z.array(z.string()),
});
const cursorSchema = z.record(z.string(), logCursorSchema);
type LogCursor = z.infer<typeof logCursorSchema>;

/** A file to follow; `arm` where all its lines are one revision's. */
interface Followed {
  readonly path: string;
  readonly arm: Arm | null;
}

/** The file that the runtime has the process of a revision write to. */
export function outputOf(
  dataDir: string,
  { endpoint, revision }: { readonly endpoint: string; readonly revision: number },
): string {
  return join(dataDir, "logs", `model-${endpoint}-${revision}.log`);
}

/** How far logs were read, and what of them an incident keeps. */
export function recentLinesIn(cursors: Readonly<Record<string, unknown>>): readonly string[] {
  const read = cursorSchema.safeParse(cursors[NAME]);
  if (!read.success) return [];
  return Object.values(read.data)
    .flatMap(({ recent }) => recent)
    .slice(-MOST_LINES);
}

/**
 * Lines of application logs: each is an observation, one at error level a bad one. Lines are told
 * apart by the version or revision they name, or by their file. Where they cannot be, all of them
 * count for the candidate: good only for a limit while it carries all traffic.
 */
export class LogsSource implements SignalSource {
  readonly name = NAME;
  readonly kinds: ReadonlySet<Metric["kind"]> = new Set(["logs"]);
  readonly #sources: Readonly<Record<string, LogSource>>;
  readonly #dataDir: string;

  constructor(sources: Readonly<Record<string, LogSource>>, dataDir: string) {
    this.#sources = sources;
    this.#dataDir = dataDir;
  }

  async collect(watched: Watched, cursor: unknown): Promise<Seen> {
    const read = cursorSchema.safeParse(cursor);
    const before = read.success ? read.data : {};
    const signals: Record<string, Signal> = {};
    const next = { ...before };
    for (const metric of watched.metrics) {
      if (metric.kind !== "logs") continue;
      try {
        const seen = await this.#read(watched, metric, before[metric.name] ?? null);
        signals[metric.name] = seen.signal;
        next[metric.name] = seen.cursor;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        signals[metric.name] = brokenSignal(`${metric.source}: ${why}`);
      }
    }
    return { signals, cursor: next };
  }

  async #read(
    watched: Watched,
    { source: name }: LogMetric,
    before: LogCursor | null,
  ): Promise<{ readonly signal: Signal; readonly cursor: LogCursor }> {
    const source = this.#sources[name];
    if (source === undefined) throw new Error("server.yaml names no log of this name");
    const followed = await this.#filesOf(source, watched);
    if (before === null) return { signal: NOTHING_NEW, cursor: await beginning(followed) };
    const arms = { candidate: none(), stable: none() };
    const files = await withRenamed(before.files, followed);
    const recent = [...before.recent];
    const judge = lineJudge(source);
    for (const { path, arm } of followed) {
      const { lines, place } = await readOn(path, files[path] ?? []);
      files[path] = place;
      for (const line of lines) {
        const judged = judge(line);
        const of = judged === null ? null : (arm ?? armOf(judged, source, watched));
        if (judged === null || of === null) continue;
        arms[of].observations += 1;
        arms[of].bad += judged.isError ? 1 : 0;
        if (judged.isError && of === "candidate") recent.push(redacted(line));
      }
    }
    return {
      signal: signalOf(arms.candidate, arms.stable),
      cursor: { files, recent: recent.slice(-MOST_LINES) },
    };
  }

  async #filesOf(source: LogSource, watched: Watched): Promise<readonly Followed[]> {
    if (source.files === null) return this.#modelOutputs(watched);
    const paths: string[] = [];
    for (const pattern of source.files) {
      if (!/[*?[{]/.test(pattern)) paths.push(pattern);
      else for await (const path of glob(pattern)) paths.push(path);
      if (paths.length > MOST_FILES) throw new Error(`there are more than ${MOST_FILES} files`);
    }
    return [...new Set(paths)].map((path) => ({ path, arm: null }));
  }

  /** What the runtime has the processes of both revisions write to. */
  #modelOutputs({ endpoint, candidate, stable }: Watched): readonly Followed[] {
    const path = (revision: number): string => outputOf(this.#dataDir, { endpoint, revision });
    const one: Followed = { path: path(candidate), arm: "candidate" };
    return stable === null ? [one] : [one, { path: path(stable), arm: "stable" }];
  }
}

function none(): { observations: number; bad: number } {
  return { observations: 0, bad: 0 };
}

/** What stands in the files when the watch begins is not of the watch. */
async function beginning(followed: readonly Followed[]): Promise<LogCursor> {
  const files: Record<string, Place> = {};
  for (const { path } of followed) files[path] = await endOf(path);
  return { files, recent: [] };
}

/**
 * A pattern may also match what a followed file was renamed to. It goes on under its new name where it
 * was left under the old one, or its lines would count again.
 */
async function withRenamed(
  before: Readonly<Record<string, Place>>,
  followed: readonly Followed[],
): Promise<Record<string, Place>> {
  const files = { ...before };
  for (const { path } of followed) {
    if (files[path] !== undefined) continue;
    const inode = await inodeOf(path);
    const old = Object.entries(files).find(([, place]) =>
      place.some((position) => position.inode === inode),
    );
    if (old === undefined) continue;
    const [oldPath, place] = old;
    files[path] = place.filter((position) => position.inode === inode);
    files[oldPath] = place.filter((position) => position.inode !== inode);
  }
  return files;
}

function armOf(line: JudgedLine, source: LogSource, watched: Watched): Arm | null {
  if (source.version === null && source.revision === null) return "candidate";
  const { version, revision } = line;
  if (revision !== null) {
    if (revision === watched.candidate) return "candidate";
    return revision === watched.stable ? "stable" : null;
  }
  if (version === null) return null;
  const names = (known: string | null): boolean =>
    known !== null && (version === known || version.endsWith(`@${known}`));
  if (names(watched.candidateVersion)) return "candidate";
  return names(watched.stableVersion) ? "stable" : null;
}
