import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";

import { LastgoodError } from "../../core/errors/index.ts";

const EMPTY = Buffer.alloc(0);
const DECODERS: Readonly<
  Record<string, (body: Buffer, limits: { maxOutputLength: number }) => Promise<Buffer>>
> = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  deflate: promisify(inflate),
};

/** Why a body of more than `limit` bytes is refused. */
export function tooLarge(limit: number): LastgoodError {
  return new LastgoodError("body.too-large", `the body is longer than ${limit} bytes`, {
    hint: "send fewer rows per request",
    details: { limit },
  });
}

/**
 * Reads a whole body of at most `limit` bytes. Calls back exactly once, and never for a request that
 * its caller broke off: there is nobody to answer then.
 */
export function readBody(
  request: IncomingMessage,
  limit: number,
  then: (error: LastgoodError | null, body: Buffer) => void,
): void {
  if (Number(request.headers["content-length"] ?? 0) > limit) {
    then(tooLarge(limit), EMPTY);
    return;
  }
  let first: Buffer | null = null;
  let rest: Buffer[] | null = null;
  let bytes = 0;
  let done = false;
  request.on("data", (chunk: Buffer) => {
    if (done) return;
    bytes += chunk.length;
    if (bytes > limit) {
      done = true;
      then(tooLarge(limit), EMPTY);
    } else if (first === null) first = chunk;
    else (rest ??= []).push(chunk);
  });
  request.on("end", () => {
    if (done) return;
    done = true;
    then(null, rest === null ? (first ?? EMPTY) : Buffer.concat([first ?? EMPTY, ...rest]));
  });
  request.on("error", () => {
    done = true;
  });
}

/**
 * Gives a body that was read without its content encoding (RFC 9110, section 8.4.1: in any case, `x-gzip`
 * is `gzip`); null and `identity` are none.
 */
export function decoded(
  body: Buffer,
  encoding: string | null,
  limit: number,
  then: (error: LastgoodError | null, body: Buffer) => void,
): void {
  const coding = encoding?.toLowerCase() ?? "identity";
  if (coding === "identity") {
    then(null, body);
    return;
  }
  decompress(body, coding, limit).then(
    (plain) => then(null, plain),
    (cause: unknown) => then(LastgoodError.from(cause), body),
  );
}

/**
 * Undoes the request's content encoding.
 * @throws `content-type.unsupported` for an encoding other than gzip and deflate, `request.invalid`
 * for bytes that are not in it, `body.too-large`.
 */
async function decompress(body: Buffer, encoding: string, limit: number): Promise<Buffer> {
  const decode = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  if (decode === undefined) {
    throw new LastgoodError(
      "content-type.unsupported",
      `the content encoding ${JSON.stringify(encoding)} is not accepted`,
      { hint: "accepted are gzip, deflate and identity" },
    );
  }
  try {
    return await decode(body, { maxOutputLength: limit });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limit);
    throw new LastgoodError("request.invalid", `the body is not ${encoding} data`, {
      cause: error,
    });
  }
}
