import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { stripVTControlCharacters } from "node:util";

const DEFAULT_BYTES = 5 * 1024 * 1024;
const LINES_KEPT = 20;
const LINE_CHARACTERS = 500;
/** How far back an exception may be what ended the server, lines. */
const EXCEPTION_LINES = 100;
/** What Python says at the end of a traceback: `ValueError: why`, `torch.cuda.OutOfMemoryError: why`. */
const EXCEPTION = /^(?:\w+\.)*[A-Z]\w*(?:Error|Exception)(?::|$)/;

/** A line as somebody's terminal may have it: colours and bells of the server do nothing there. */
function shown(line: string): string {
  return stripVTControlCharacters(line)
    .replaceAll(/[\p{Cc}\uFFFD]+/gu, " ")
    .trimEnd()
    .slice(0, LINE_CHARACTERS);
}

/**
 * What a server prints: appended to a file that is renamed to `….1` when it is full, so that whoever
 * follows it loses nothing and two of them are kept. The last lines are kept at hand.
 */
export class RotatedLog {
  readonly path: string;
  readonly #maxBytes: number;
  #file: number | null;
  #bytes: number;
  #lines: string[] = [];
  #rest = "";
  #printed = 0;
  /** Exceptions that were named of late, and where. */
  #exceptions: { readonly line: string; readonly at: number }[] = [];

  constructor(path: string, maxBytes = DEFAULT_BYTES) {
    mkdirSync(dirname(path), { recursive: true });
    this.path = path;
    this.#maxBytes = maxBytes;
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#file = this.#open();
  }

  write(chunk: Buffer): void {
    if (this.#bytes > 0 && this.#bytes + chunk.length > this.#maxBytes) this.#rotate();
    this.#bytes += chunk.length;
    this.#append(chunk);
    const lines = (this.#rest + chunk.toString()).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-LINE_CHARACTERS);
    for (const line of lines) this.#keep(line);
  }

  /**
   * The last lines that were printed, the newest last; before them the first exception of those that were
   * named of late: what wraps the server tells of its own, and leaves that one far behind.
   */
  lastLines(count: number): string {
    const rest = shown(this.#rest);
    const lines = (rest === "" ? this.#lines : [...this.#lines, rest]).slice(-count);
    const first = this.#exceptions[0]?.line;
    return (first === undefined || lines.includes(first) ? lines : [first, "…", ...lines]).join(
      "\n",
    );
  }

  #keep(printed: string): void {
    const line = shown(printed);
    if (line === "") return;
    this.#printed += 1;
    const since = this.#printed - EXCEPTION_LINES;
    if (EXCEPTION.test(line)) this.#exceptions.push({ line, at: this.#printed });
    if ((this.#exceptions[0]?.at ?? since) < since) this.#exceptions.shift();
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }

  #rotate(): void {
    if (this.#file !== null) closeSync(this.#file);
    try {
      renameSync(this.path, `${this.path}.1`);
    } catch {
      // Somebody took it away, which makes room as well.
    }
    this.#bytes = 0;
    this.#file = this.#open();
  }

  /** Null where the system does not let it: a full disk must not end a server that answers. */
  #open(): number | null {
    try {
      return openSync(this.path, "a", 0o600);
    } catch {
      return null;
    }
  }

  #append(chunk: Buffer): void {
    if (this.#file === null) return;
    try {
      writeSync(this.#file, chunk);
    } catch {
      // The line is lost, the server goes on.
    }
  }
}
