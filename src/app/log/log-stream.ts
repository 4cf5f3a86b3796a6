import { write, writeSync } from "node:fs";

/** Lines that wait for a full disk or a slow reader, bytes; beyond it they are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * Writes lines to a descriptor, never waiting for it: what a full disk does not take waits for the next
 * line, and what is more than may wait is lost. (With pino's own stream an error nobody listens to ends the
 * process, a full buffer is never tried again, and a flush on a full disk never returns.)
 */
export class LogStream {
  readonly #descriptor: number;
  #waiting: string[] = [];
  /** Of `#waiting`, bytes. */
  #bytes = 0;
  #writing = NOTHING;
  #isBusy = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Takes one line or several, with their ends. */
  write(lines: string): void {
    const bytes = Buffer.byteLength(lines);
    if (this.#bytes + bytes <= MAX_WAITING_BYTES) {
      this.#waiting.push(lines);
      this.#bytes += bytes;
    }
    this.#next();
  }

  /** Before the process ends: what waits is written at once, as far as it goes. */
  flush(): void {
    // What is being written still is, by another thread.
    const first = this.#isBusy ? NOTHING : this.#writing;
    const rest = Buffer.concat([first, Buffer.from(this.#waiting.join(""))]);
    this.#waiting = [];
    try {
      for (let at = 0; at < rest.length;) at += writeSync(this.#descriptor, rest, at);
    } catch {
      // It is lost.
    }
  }

  #next(): void {
    if (this.#isBusy) return;
    if (this.#writing.length === 0) {
      if (this.#waiting.length === 0) return;
      this.#writing = Buffer.from(this.#waiting.join(""));
      this.#waiting = [];
      this.#bytes = 0;
    }
    this.#isBusy = true;
    write(this.#descriptor, this.#writing, (error, written) => {
      this.#isBusy = false;
      // Tried again with the next line.
      if (error !== null) return;
      this.#writing = this.#writing.subarray(written);
      this.#next();
    });
  }
}
