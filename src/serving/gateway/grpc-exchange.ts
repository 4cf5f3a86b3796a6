import { Metadata, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";

import type { ProtocolAnswer } from "../protocol/index.ts";
import type { Exchange } from "./exchange.ts";

/** The status code of an answer that is no error. */
const OK = 0;

/** A unary call over gRPC. What HTTP has in headers leaves as metadata and, once more, as trailers. */
export class GrpcExchange implements Exchange {
  readonly #call: ServerUnaryCall<Buffer, Buffer>;
  readonly #callback: sendUnaryData<Buffer>;
  #isAnswered = false;

  constructor(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
    this.#call = call;
    this.#callback = callback;
  }

  header(name: string): string | null {
    const [value] = this.#call.metadata.get(name);
    return typeof value === "string" ? value : null;
  }

  /** Also true past the caller's own deadline. */
  get isGone(): boolean {
    return this.#call.cancelled;
  }

  write(answer: ProtocolAnswer, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#isAnswered || this.isGone) return;
    this.#isAnswered = true;
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const { body } = answer;
    if (answer.status === OK && typeof body !== "string") {
      this.#call.sendMetadata(metadata.clone());
      this.#callback(null, body, metadata);
    } else this.#callback({ code: answer.status, details: body.toString(), metadata });
  }
}
