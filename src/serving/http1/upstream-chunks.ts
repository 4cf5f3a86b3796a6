import { readFields } from "./fields.ts";
import { AnswerInvalid } from "./upstream-failure.ts";

/** Longest line between chunks (size and extension, a trailer), and of all trailers, bytes. */
const MAX_LINE_BYTES = 4_096;
const MAX_TRAILER_BYTES = 16_384;
/**
 * Size in hexadecimal digits, as many as a number holds exactly, and extensions, which nobody looks at;
 * without the white space that section 7.1.1 calls bad.
 */
const SIZE_LINE =
  /^([0-9a-fA-F]{1,13})(?:;[!#$%&'*+\-.^_`|~\w]+(?:=(?:[!#$%&'*+\-.^_`|~\w]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/;

const LF = 10;
const CR = 13;

/**
 * Takes the chunked coding off a body (https://www.rfc-editor.org/rfc/rfc9112.html, section 7.1), in
 * whatever parts it comes. Trailers are read and left out.
 */
export class ChunkedBody {
  #state: "size" | "data" | "end" | "trailer" = "size";
  /** Of the chunk, bytes to come. */
  #left = 0;
  /** Of a line that is not whole yet. */
  #line = "";
  #trailerBytes = 0;

  /**
   * Reads on in a part of the body from `at`; `take` is given the bytes of chunks, valid during the call.
   * @returns the place behind the body's end, or -1 when more is to come
   * @throws `AnswerInvalid`
   */
  read(part: Buffer, at: number, take: (bytes: Buffer) => void): number {
    let place = at;
    while (place < part.length) {
      if (this.#state === "data") {
        const end = Math.min(part.length, place + this.#left);
        take(part.subarray(place, end));
        this.#left -= end - place;
        place = end;
        if (this.#left === 0) this.#state = "end";
        continue;
      }
      const feed = part.indexOf(LF, place);
      const end = feed < 0 ? part.length : feed + 1;
      this.#line += part.toString("latin1", place, end);
      if (this.#line.length > MAX_LINE_BYTES) throw new AnswerInvalid("a chunk's line is too long");
      place = end;
      if (feed >= 0 && this.#endLine()) return place;
    }
    return -1;
  }

  /** What a line says; true where it is the body's end. */
  #endLine(): boolean {
    const line = this.#line;
    this.#line = "";
    if (line.charCodeAt(line.length - 2) !== CR)
      throw new AnswerInvalid("a chunk's line does not end as lines do");
    return this.#read(line.slice(0, -2));
  }

  #read(line: string): boolean {
    if (this.#state === "size") {
      const [, digits] = SIZE_LINE.exec(line) ?? [];
      if (digits === undefined) throw new AnswerInvalid("a chunk does not begin with its size");
      this.#left = Number.parseInt(digits, 16);
      this.#state = this.#left === 0 ? "trailer" : "data";
      return false;
    }
    if (this.#state === "end") {
      if (line !== "") throw new AnswerInvalid("a chunk is longer than its size");
      this.#state = "size";
      return false;
    }
    if (line === "") return true;
    this.#trailerBytes += line.length;
    if (readFields(`${line}\r\n`, 0) === null || this.#trailerBytes > MAX_TRAILER_BYTES)
      throw new AnswerInvalid("what follows the last chunk is no trailer");
    return false;
  }
}
