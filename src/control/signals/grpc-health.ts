import { readFile } from "node:fs/promises";
import { connect, constants, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";

/** Bytes before each message: not compressed, its length. */
const PREFIX_BYTES = 5;
const SERVING = 1;
const STATUS_NAMES: Readonly<Record<number, string>> = {
  0: "UNKNOWN",
  2: "NOT_SERVING",
  3: "SERVICE_UNKNOWN",
};
const LONGEST_ANSWER = 64 * 1024;

/** A HealthCheckRequest with its prefix: field 1, a string, left out where it is empty. */
function requestOf(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  // Below 16 KiB a length is one or two bytes of a varint; names are at most 200 characters.
  const length =
    name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message =
    name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...length]), name]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The status of a HealthCheckResponse: field 1, an enum below 128; 0 where it is left out. */
function statusOf(body: Buffer): number {
  if (body.length < PREFIX_BYTES) throw new Error("it gives no health status");
  const message = body.subarray(PREFIX_BYTES, PREFIX_BYTES + body.readUInt32BE(1));
  if (message.length === 0) return 0;
  if (message[0] !== 0x08 || message[1] === undefined) throw new Error("it gives no health status");
  return message[1];
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on("response", (given) => {
      headers = { ...headers, ...given };
    });
    stream.on("trailers", (given) => {
      headers = { ...headers, ...given };
    });
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > LONGEST_ANSWER) stream.destroy(new Error("its answer is too long"));
      else chunks.push(chunk);
    });
    stream.on("error", reject);
    stream.on("close", () => resolve({ headers, body: Buffer.concat(chunks) }));
  });
}

/**
 * Asks by the gRPC health protocol (`grpc.health.v1.Health/Check`). The two messages are so small that
 * they are written by hand. `tls`: null speaks plainly; `ca`: PEM file of who certifies it, null: who the
 * system trusts.
 * @throws why it is not serving.
 */
export async function checkGrpc(
  address: string,
  tls: { readonly ca: string | null } | null,
  signal: AbortSignal,
): Promise<void> {
  const slash = address.indexOf("/");
  const authority = slash < 0 ? address : address.slice(0, slash);
  const service = slash < 0 ? "" : address.slice(slash + 1);
  // Read each time: a certificate that is renewed is taken up.
  const ca = tls === null || tls.ca === null ? undefined : await readFile(tls.ca);
  const session = connect(
    `${tls === null ? "http" : "https"}://${authority}`,
    ca === undefined ? {} : { ca },
  );
  const failed = new Promise<never>((_, reject) => {
    session.on("error", reject);
    signal.addEventListener("abort", () => {
      session.destroy();
      reject(new Error("no answer in time"));
    });
  });
  try {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: "/grpc.health.v1.Health/Check",
      [constants.HTTP2_HEADER_TE]: "trailers",
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc+proto",
    });
    const answer = answerOf(stream);
    stream.end(requestOf(service));
    const { headers, body } = await Promise.race([answer, failed]);
    judge(headers, body);
  } finally {
    // Nothing of it may be heard after its end.
    failed.catch(() => undefined);
    session.destroy();
  }
}

function judge(headers: IncomingHttpHeaders, body: Buffer): void {
  const http = headers[constants.HTTP2_HEADER_STATUS];
  const code = headers["grpc-status"];
  if (Number(http) !== 200 || code === undefined)
    throw new Error(`it answers ${String(http ?? "nothing")}, and not as a gRPC server`);
  if (Number(code) !== 0) {
    const said = headers["grpc-message"];
    throw new Error(`gRPC status ${String(code)}${said === undefined ? "" : `: ${String(said)}`}`);
  }
  const status = statusOf(body);
  if (status !== SERVING)
    throw new Error(`gRPC health ${STATUS_NAMES[status] ?? `status ${status}`}`);
}
