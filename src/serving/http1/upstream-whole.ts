import type { Exchange, UpstreamConnection } from "./upstream-connection.ts";
import { AnswerInvalid } from "./upstream-failure.ts";
import { startOf } from "./upstream-start.ts";

const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** A request whose answer is wanted whole: a question without a body, or JSON that is posted. */
export interface Question {
  readonly path: string;
  readonly body: string | null;
}

/** A whole answer. */
export interface WholeAnswer {
  readonly status: number;
  readonly text: string;
  /** From when the request left, which it does once it has a connection, to the end of the answer, ms. */
  readonly ms: number;
}

/** How a promise ends. */
export interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** The exchange of a question for text. */
export class WholeExchange implements Exchange {
  readonly method: string;
  readonly deadlineAt: number;
  readonly #start: string;
  readonly #body: string | null;
  readonly #settle: Settle<WholeAnswer>;
  #leftAt = 0;
  #status = 0;
  #text = "";
  #parts: Buffer[] | null = null;
  #bytes = 0;
  #length = -1;

  constructor(
    question: Question,
    options: {
      readonly host: string;
      readonly deadlineAt: number;
      readonly settle: Settle<WholeAnswer>;
    },
  ) {
    this.method = question.body === null ? "GET" : "POST";
    this.#start = startOf(this.method, question.path, options.host);
    this.deadlineAt = options.deadlineAt;
    this.#body = question.body;
    this.#settle = options.settle;
  }

  get isSent(): boolean {
    return true;
  }

  send(connection: UpstreamConnection): void {
    const start = this.#start;
    const body = this.#body;
    this.#leftAt = performance.now();
    if (body === null) connection.write(`${start}\r\n`);
    else {
      const bytes = Buffer.byteLength(body);
      const head = `${start}content-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`;
      // One write. Text of one byte for each character needs no encoding.
      connection.write(head + body, bytes === body.length ? "latin1" : "utf8");
    }
  }

  onHead({ status, framing }: { readonly status: number; readonly framing: unknown }): void {
    this.#status = status;
    this.#length = typeof framing === "number" ? framing : -1;
  }

  onData(bytes: Buffer): boolean {
    // Most answers come in one piece.
    if (bytes.length === this.#length) this.#text = bytes.toString("utf8");
    else this.#keep(bytes);
    return true;
  }

  onPart(): void {
    // There is one deadline for the whole.
  }

  onEnd(): void {
    if (this.#parts !== null) this.#text = Buffer.concat(this.#parts).toString("utf8");
    const ms = performance.now() - this.#leftAt;
    this.#settle.resolve({ status: this.#status, text: this.#text, ms });
  }

  onFail(error: Error): void {
    this.#settle.reject(error);
  }

  #keep(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_ANSWER_BYTES)
      throw new AnswerInvalid(`it is longer than ${MAX_ANSWER_BYTES} bytes`);
    (this.#parts ??= []).push(Buffer.from(bytes));
  }
}
