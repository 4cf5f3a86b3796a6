/** How tests ask servers that they speak for themselves: what is shared by those of the client. */
import { text as textOf } from "node:stream/consumers";

import type { BegunAnswer, PassedRequest } from "../../src/serving/http1/upstream-passed.ts";
import { UpstreamPool, type PoolOptions } from "../../src/serving/http1/upstream-pool.ts";
import type { Scripted } from "./scripted-server.ts";

export const PATIENT_MS = 10_000;

export function poolOf(
  { url }: Pick<Scripted, "url">,
  options: Partial<PoolOptions> = {},
): UpstreamPool {
  return new UpstreamPool(url, { connections: null, ...options });
}

export function passed(overrides: Partial<PassedRequest> = {}): PassedRequest {
  return {
    method: "GET",
    path: "/",
    headers: {},
    body: null,
    timeoutMs: PATIENT_MS,
    ...overrides,
  };
}

export async function bodyOf({ body }: BegunAnswer): Promise<string> {
  return Buffer.isBuffer(body) ? body.toString() : textOf(body);
}

export async function failure(answer: Promise<unknown>): Promise<unknown> {
  return answer.then(
    () => "answered",
    (error: unknown) => error,
  );
}

export const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
