import { writeSync } from "node:fs";

/** Lines that wait for space on a full disk, bytes; beyond it they are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * Writes lines to a descriptor: what a full disk does not take waits for the next line, and what is more
 * than may wait is lost. (With pino's own stream an error nobody listens to ends the process, a full buffer
 * is never tried again, and a flush on a full disk never returns.)
 */
export class LogStream {
  readonly #descriptor: number;
  #waiting = Buffer.alloc(0);

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Takes one line or several, with their ends. */
  write(lines: string): void {
    const bytes = Buffer.from(lines);
    if (this.#waiting.length + bytes.length <= MAX_WAITING_BYTES)
      this.#waiting = Buffer.concat([this.#waiting, bytes]);
    try {
      while (this.#waiting.length > 0)
        this.#waiting = this.#waiting.subarray(writeSync(this.#descriptor, this.#waiting));
    } catch {
      // Tried again with the next line.
    }
  }
}
