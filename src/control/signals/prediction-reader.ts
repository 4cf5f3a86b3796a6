import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import {
  predictedRowsSchema,
  type LoggedPrediction,
  type PredictedRows,
} from "./logged-prediction.ts";

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
/** After the id, in what another revision made of the same request. */
const BEFORE_REVISION = "~";

/** An id as it is looked for. */
export interface Wanted {
  readonly requestId: string;
  /** Of the prediction, since 1970. */
  readonly minute: number;
}

/** A prediction as far as it is in the log. */
export interface Found {
  readonly prediction: LoggedPrediction;
  /** False while it is to come what another revision made of the same request. */
  readonly isWhole: boolean;
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

function rowsIn(rows: unknown, values: unknown): PredictedRows | null {
  const parsed = predictedRowsSchema.safeParse({ rows, values });
  return parsed.success ? parsed.data : null;
}

/** What is known of one request. */
class Pieces {
  #own: PredictedRows | null = null;
  /** The revision that was given it as well, and what that made of it; `null` within: nothing. */
  #mirroredTo: number | null = null;
  #mirrored: { readonly revision: number; readonly given: PredictedRows | null } | null = null;

  get isWhole(): boolean {
    return this.#own !== null && (this.#mirroredTo === null || this.#mirrored !== null);
  }

  /** `by`: the revision whose line it is, where that is not the one that answered. */
  add(line: Buffer, by: number | null): void {
    try {
      const [, rows, values, to] = JSON.parse(line.toString("utf8")) as unknown[];
      const given = rowsIn(rows, values);
      if (by !== null) this.#mirrored = { revision: by, given };
      else if (given !== null) {
        this.#own = given;
        this.#mirroredTo = typeof to === "number" ? to : null;
      }
    } catch {
      // A line that is none says nothing.
    }
  }

  get found(): Found | null {
    if (this.#own === null) return null;
    const { revision, given } = this.#mirrored ?? { revision: 0, given: null };
    const mirror = given === null ? null : { ...given, revision };
    return { prediction: { ...this.#own, mirror }, isWhole: this.isWhole };
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
  async find(wanted: readonly Wanted[]): Promise<ReadonlyMap<string, Found> | null> {
    const segments = await this.#segments();
    if (segments === null) return null;
    const pieces = new Map(wanted.map(({ requestId }) => [requestId, new Pieces()]));
    for (const segment of segments) {
      const here = wanted.filter(
        ({ requestId, minute }) =>
          pieces.get(requestId)?.isWhole === false &&
          workerOf(requestId) === segment.worker &&
          (minute + 1) * MINUTE_MS > segment.from &&
          minute * MINUTE_MS < segment.to,
      );
      if (here.length > 0) await readInto(pieces, segment, new Set(here.map((id) => id.requestId)));
    }
    return new Map(
      [...pieces].flatMap(([id, { found }]) => (found === null ? [] : [[id, found] as const])),
    );
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
  pieces: ReadonlyMap<string, Pieces>,
  segment: Segment,
  wanted: Set<string>,
): Promise<void> {
  try {
    for await (const line of linesOf(segment.path)) {
      const [id = "", by] = idOf(line)?.split(BEFORE_REVISION) ?? [];
      const known = wanted.has(id) ? pieces.get(id) : undefined;
      if (known === undefined) continue;
      known.add(line, by === undefined ? null : Number(by));
      if (known.isWhole) wanted.delete(id);
      if (wanted.size === 0) return;
    }
  } catch (error) {
    // Pruned since it was listed.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
