import type { Readable } from "node:stream";

/** What an upload does and says. */
export interface UploadEvents {
  /** False: no more until `goOn`. */
  readonly write: (part: string | Buffer) => boolean;
  /** Who has to do something next. */
  readonly onWait: (whom: "server" | "caller") => void;
  readonly onFail: (why: string) => void;
}

/** The body of a request, written as it comes: in chunks where its length is not known. */
export class Upload {
  /** Whether the whole body has been written. */
  isDone = false;
  #isLeft = false;
  readonly #source: Readable;
  readonly #events: UploadEvents;
  readonly #isChunked: boolean;
  /** Bytes to come. */
  #left: number;
  readonly #onData = (part: Buffer | string): void => this.#write(Buffer.from(part));
  readonly #onEnd = (): void => this.#end();
  readonly #onClose = (): void => {
    // Its errors are heard to the last, but the connection may be another one's by then.
    if (!this.#isLeft) this.#events.onFail("the request broke off");
  };

  /** @param length bytes, or null where the source's end says how many they were */
  constructor(source: Readable, length: number | null, events: UploadEvents) {
    this.#source = source;
    this.#events = events;
    this.#isChunked = length === null;
    this.#left = length ?? Infinity;
    events.onWait("caller");
    source.on("data", this.#onData).on("end", this.#onEnd);
    source.on("error", this.#onClose).on("close", this.#onClose);
    if (source.destroyed) queueMicrotask(this.#onClose);
  }

  /** The server takes more. */
  goOn(): void {
    if (this.isDone) return;
    this.#events.onWait("caller");
    this.#source.resume();
  }

  /** Nobody needs the rest. */
  leave(): void {
    this.#isLeft = true;
    this.#source.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose);
  }

  #write(part: Buffer): void {
    if (part.length === 0) return;
    this.#left -= part.length;
    if (this.#left < 0) {
      this.#events.onFail("the request is longer than it said");
      return;
    }
    const mayGoOn = this.#isChunked ? this.#writeChunk(part) : this.#events.write(part);
    this.#events.onWait(mayGoOn ? "caller" : "server");
    if (!mayGoOn) this.#source.pause();
  }

  #writeChunk(part: Buffer): boolean {
    this.#events.write(`${part.length.toString(16)}\r\n`);
    this.#events.write(part);
    return this.#events.write("\r\n");
  }

  #end(): void {
    if (!this.#isChunked && this.#left > 0) {
      this.#events.onFail("the request is shorter than it said");
      return;
    }
    this.isDone = true;
    this.leave();
    if (this.#isChunked) this.#events.write("0\r\n\r\n");
    this.#events.onWait("server");
  }
}
