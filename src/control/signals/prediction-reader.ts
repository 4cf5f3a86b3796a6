import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import { predictionSchema, type LoggedPrediction } from "./logged-prediction.ts";

const MINUTE_MS = 60_000;
/** A prediction is written this long after its answer at the most; clocks of files are coarse. */
const SLACK_MS = 10_000;
const CHUNK_BYTES = 256 * 1024;
/** A longer line is no line of ours. */
const LONGEST_LINE = 256 * 1024;
const LINE_END = 0x0a;
/** `["` before an id. */
const BEFORE_ID = 2;
const QUOTE = 0x22;

/** An id as it is looked for. */
export interface Wanted {
  readonly requestId: string;
  /** Of the prediction, since 1970. */
  readonly minute: number;
}

interface Segment {
  readonly path: string;
  readonly worker: number;
  readonly from: number;
  readonly to: number;
}

function workerOf(requestId: string): number {
  return Number.parseInt(requestId.split(".").at(-3) ?? "", 10);
}

/** The lines of a file; what follows the last line end is being written, or was torn. */
async function* linesOf(path: string): AsyncGenerator<Buffer, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    let from = 0;
    for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, from)) {
      yield bytes.subarray(from, end);
      from = end + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > LONGEST_LINE) rest = Buffer.alloc(0);
  }
}

function idOf(line: Buffer): string | null {
  const end = line.indexOf(QUOTE, BEFORE_ID);
  return end < 0 ? null : line.toString("latin1", BEFORE_ID, end);
}

function predictionIn(line: Buffer): LoggedPrediction | null {
  try {
    const [, rows, values] = JSON.parse(line.toString("utf8")) as [unknown, unknown, unknown];
    const parsed = predictionSchema.safeParse({ rows, values });
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Reads what the gateway's workers logged, by request id. */
export class PredictionReader {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * The predictions of those ids that are in the log now, or null where there is no log: nothing was
   * logged yet, or the gateway writes elsewhere.
   */
  async find(wanted: readonly Wanted[]): Promise<ReadonlyMap<string, LoggedPrediction> | null> {
    const segments = await this.#segments();
    if (segments === null) return null;
    const found = new Map<string, LoggedPrediction>();
    for (const segment of segments) {
      const here = wanted.filter(
        ({ requestId, minute }) =>
          !found.has(requestId) &&
          workerOf(requestId) === segment.worker &&
          (minute + 1) * MINUTE_MS > segment.from &&
          minute * MINUTE_MS < segment.to,
      );
      if (here.length > 0) await readInto(found, segment, new Set(here.map((id) => id.requestId)));
    }
    return found;
  }

  async #segments(): Promise<Segment[] | null> {
    const names = await readdir(this.#folder).catch(() => null);
    if (names === null) return null;
    const segments: Segment[] = [];
    for (const name of names) {
      const [, from, worker] = /^(\d+)-(\d+)-\w+\.jsonl$/.exec(name) ?? [];
      const path = join(this.#folder, name);
      const file = from === undefined ? null : await stat(path).catch(() => null);
      if (file === null) continue;
      segments.push({
        path,
        worker: Number(worker),
        from: Number(from) - SLACK_MS,
        to: file.mtimeMs + SLACK_MS,
      });
    }
    return segments;
  }
}

async function readInto(
  found: Map<string, LoggedPrediction>,
  segment: Segment,
  wanted: Set<string>,
): Promise<void> {
  try {
    for await (const line of linesOf(segment.path)) {
      const id = idOf(line);
      if (id === null || !wanted.delete(id)) continue;
      const prediction = predictionIn(line);
      if (prediction !== null) found.set(id, prediction);
      if (wanted.size === 0) return;
    }
  } catch (error) {
    // Pruned since it was listed.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
