import { mkdir, open, readdir, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";

import type { OutputValue } from "../../core/tensor/index.ts";
import { predictedText } from "./predicted-rows.ts";

/** What a worker's log is made with. */
export interface PredictionLogOptions {
  readonly folder: string;
  readonly incarnation: string;
  readonly worker: number;
  /** ms since 1970. */
  readonly now: () => number;
  /** Told how many were lost. */
  readonly onDropped: (count: number) => void;
}

const WRITE_EVERY_MS = 1_000;
/** What waits to be written; beyond it predictions are dropped, never requests. */
const MOST_WAITING = 1024 * 1024;
const SEGMENT_BYTES = 8 * 1024 * 1024;
const SEGMENT_MS = 600_000;

/** Bounds of all segments together. */
const PREDICTION_LIMITS = { keepMs: 7 * 86_400_000, bytes: 1024 * 1024 * 1024 } as const;

interface Segment {
  readonly file: FileHandle;
  readonly startedAt: number;
  bytes: number;
}

/**
 * What one worker predicted, by request id, for labels that come later. Lines
 * `["<id>",<rows>,[<class or number>, …]]` in segments of its own; a torn last line is nobody's. Where
 * the request is also given to another revision, a fourth element names that revision, and a second line
 * has what it predicted, `["<id>~<revision>",<rows>,[…]]`, or `["<id>~<revision>"]` where it did not. All
 * writing is asynchronous and bounded: serving never waits for it.
 */
export class PredictionLog {
  readonly #options: PredictionLogOptions;
  #lines: string[] = [];
  #waiting = 0;
  #dropped = 0;
  #segment: Segment | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: PredictionLogOptions) {
    this.#options = options;
  }

  /** Notes what was answered. `mirroredTo`: the revision that is given the request as well, or null. */
  note(requestId: string, outputs: readonly OutputValue[], mirroredTo: number | null = null): void {
    const text = predictedText(outputs);
    if (text === null) return;
    // An id is of characters that JSON writes as they are.
    this.#add(`["${requestId}",${text}${mirroredTo === null ? "" : `,${mirroredTo}`}]\n`);
  }

  /** Notes what the revision made of it that was given the request as well; null: nothing. */
  noteMirrored(requestId: string, revision: number, outputs: readonly OutputValue[] | null): void {
    const text = outputs === null ? null : predictedText(outputs);
    this.#add(`["${requestId}~${revision}"${text === null ? "" : `,${text}`}]\n`);
  }

  #add(line: string): void {
    if (this.#waiting > MOST_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#waiting += line.length;
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_EVERY_MS).unref();
  }

  /** Writes what waits; resolves when it is in the file. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Writes what waits and closes the file. */
  async end(): Promise<void> {
    await this.flush();
    await this.#close();
  }

  async #write(): Promise<void> {
    const lines = this.#lines;
    const text = lines.join("");
    this.#lines = [];
    this.#waiting = 0;
    if (lines.length > 0) {
      try {
        const segment = await this.#open();
        const { bytesWritten } = await segment.file.write(text);
        segment.bytes += bytesWritten;
      } catch {
        this.#dropped += lines.length;
        // What a full disk left half written ends its segment: the next one begins on a line.
        await this.#close();
      }
    }
    if (this.#dropped > 0) this.#options.onDropped(this.#dropped);
    this.#dropped = 0;
  }

  async #open(): Promise<Segment> {
    const { folder, incarnation, worker, now } = this.#options;
    const at = now();
    const current = this.#segment;
    const isFull =
      current !== null && (current.bytes >= SEGMENT_BYTES || at - current.startedAt >= SEGMENT_MS);
    if (current !== null && !isFull) return current;
    await this.#close();
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${at}-${worker}-${incarnation.slice(0, 8)}.jsonl`);
    this.#segment = { file: await open(path, "ax", 0o600), startedAt: at, bytes: 0 };
    return this.#segment;
  }

  async #close(): Promise<void> {
    const segment = this.#segment;
    this.#segment = null;
    await segment?.file.close().catch(() => undefined);
  }
}

/** Removes segments past their time, and the oldest while all together are too large. Gives how many. */
export async function prunePredictions(
  folder: string,
  now: number,
  limits: { readonly keepMs: number; readonly bytes: number } = PREDICTION_LIMITS,
): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const segments: { path: string; startedAt: number; writtenAt: number; bytes: number }[] = [];
  for (const name of names) {
    const startedAt = Number(/^(\d+)-\d+-\w+\.jsonl$/.exec(name)?.[1] ?? Number.NaN);
    const path = join(folder, name);
    const found = Number.isNaN(startedAt) ? null : await stat(path).catch(() => null);
    if (found !== null)
      segments.push({ path, startedAt, writtenAt: found.mtimeMs, bytes: found.size });
  }
  let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  let removed = 0;
  for (const segment of segments.toSorted((a, b) => a.startedAt - b.startedAt)) {
    if (now - segment.writtenAt <= limits.keepMs && bytes <= limits.bytes) continue;
    await rm(segment.path, { force: true });
    bytes -= segment.bytes;
    removed += 1;
  }
  return removed;
}
