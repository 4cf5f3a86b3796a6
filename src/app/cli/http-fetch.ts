import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import type { FetchAnswer, FetchRequest } from "../../client/index.ts";

const ANSWER_AFTER_REFUSAL_MS = 200;

/**
 * The client's way to a server over `node:http`: the platform's `fetch` costs a command line more
 * time to load than everything else it does.
 */
export function httpFetch(url: string, request: FetchRequest = {}): Promise<FetchAnswer> {
  const { method = "GET", headers = {}, body, signal } = request;
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const length = typeof body === "string" ? Buffer.byteLength(body) : sizeOf(body);
    const outgoing = send(url, {
      method,
      headers: { ...headers, ...(length === null ? {} : { "content-length": String(length) }) },
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    });
    outgoing.on("error", reject);
    outgoing.once("response", (incoming) => resolve(answerOf(incoming)));
    if (body instanceof Blob)
      pipeline(Readable.fromWeb(body.stream()), outgoing).catch((error: unknown) => {
        // A server that refuses the body stops reading it; its answer is on its way.
        setTimeout(reject, ANSWER_AFTER_REFUSAL_MS, error);
      });
    else outgoing.end(body);
  });
}

function sizeOf(body: Blob | Uint8Array | undefined): number | null {
  if (body === undefined) return null;
  return body instanceof Blob ? body.size : body.byteLength;
}

function answerOf(incoming: IncomingMessage): FetchAnswer {
  const status = incoming.statusCode ?? 0;
  return {
    status,
    ok: status >= 200 && status < 300,
    body: incoming,
    text: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString("utf8");
    },
  };
}
