import type { Socket } from "node:net";
import type { Readable } from "node:stream";

import type { AnswerFields } from "./answer-head.ts";
import { contentLengthOf } from "./fields.ts";

/** Statuses whose answers end with their head (RFC 9110, sections 15.3.5 and 15.4.5). */
export function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}

/** How the end of a body is told. */
export type Framing = "none" | "chunked" | { readonly bytes: number };

/** What an answer is whose fields come from elsewhere, under lower-case names. */
export interface Passed {
  readonly method: string;
  readonly status: number;
  readonly fields: AnswerFields;
  readonly body: Readable | Buffer;
}

/** The framing of an answer (RFC 9112, section 6), and the fields that go with it. */
export function framed(passed: Passed): {
  readonly framing: Framing;
  readonly fields: AnswerFields;
} {
  const { method, status, fields, body } = passed;
  const { "transfer-encoding": _, "content-length": given, ...rest } = fields;
  const told = typeof given === "string" ? contentLengthOf(given) : null;
  const withLength = (bytes: number | null): AnswerFields =>
    bytes === null ? rest : { ...rest, "content-length": String(bytes) };
  if (status === 204) return { framing: "none", fields: rest };
  if (method === "HEAD" || status === 304) return { framing: "none", fields: withLength(told) };
  const bytes = Buffer.isBuffer(body) ? body.length : told;
  if (bytes !== null) return { framing: { bytes }, fields: withLength(bytes) };
  return { framing: "chunked", fields: { ...rest, "transfer-encoding": "chunked" } };
}

/**
 * Writes a body as it comes, and no faster than the caller reads. Calls back once: with whether all of
 * it was written, neither more nor less than was told.
 */
export function writeBody(
  body: Readable,
  socket: Socket,
  framing: Framing,
  then: (isWhole: boolean) => void,
): void {
  let written = 0;
  let isOver = false;
  const resume = (): void => void body.resume();
  const end = (isWhole: boolean): void => {
    if (isOver) return;
    isOver = true;
    socket.off("drain", resume).off("close", broken);
    then(isWhole);
  };
  const broken = (): void => {
    body.destroy();
    end(false);
  };
  // It would say nothing more.
  if (body.destroyed) {
    then(false);
    return;
  }
  socket.on("drain", resume).on("close", broken);
  // What breaks off after its end is nobody's loss, but must not go unheard.
  body.on("error", broken).on("close", () => end(false));
  body.on("end", () => {
    if (isOver) return;
    if (framing === "chunked") socket.write("0\r\n\r\n", "latin1");
    end(typeof framing === "string" || written === framing.bytes);
  });
  body.on("data", (part: Buffer) => {
    if (isOver || framing === "none" || part.length === 0) return;
    written += part.length;
    if (framing !== "chunked" && written > framing.bytes) broken();
    else if (!writePart(part, socket, framing)) body.pause();
  });
}

/** Gives false where the caller reads more slowly. */
function writePart(part: Buffer, socket: Socket, framing: Framing): boolean {
  if (framing !== "chunked") return socket.write(part);
  socket.cork();
  socket.write(`${part.length.toString(16)}\r\n`, "latin1");
  socket.write(part);
  const isTaken = socket.write("\r\n", "latin1");
  socket.uncork();
  return isTaken;
}
