import * as z from "zod";

import { LastgoodError } from "../core/errors/index.ts";
import type { Fetch, FetchAnswer, FetchRequest } from "./fetch.ts";

/** How long and in which cases a call is repeated. */
export interface RetryOptions {
  /** Repeats a call whose connection was dropped this long, ms; 0 never. */
  readonly forMs: number;
  /** True when a server is known to be there: then a refused connection is repeated too. */
  readonly whenRefused: boolean;
}

/** What a transport needs to know. */
export interface TransportOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly fetch: Fetch;
  readonly retry: RetryOptions;
}

/** One call of the API. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | null | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as they are. */
  readonly bytes?: Blob | Uint8Array<ArrayBuffer>;
  /** Of `bytes`. @default "application/octet-stream" */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const problemSchema = z.object({
  code: z.string(),
  message: z.string().optional(),
  detail: z.string().optional(),
  title: z.string().optional(),
  hint: z.string().nullish(),
  details: z.record(z.string(), z.unknown()).optional(),
  passedOver: z.array(z.object({ version: z.string(), why: z.string() })).optional(),
});

const RETRY_PAUSE_MS = 50;

/** Sends calls and reads answers; one per client. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * The answer's JSON, checked against the schema. Changes carry an `Idempotency-Key` that stays the
   * same over repetitions, so a server that comes back answers for what it had begun.
   * @throws the server's own error, `server.unreachable`, or `link.invalid` for an answer that is not
   * ours.
   */
  async json<S extends z.ZodType>(schema: S, call: Call): Promise<z.infer<S>> {
    const { response, text } = await this.#exchange(call, async (answer) => ({
      response: answer,
      text: await answer.text(),
    }));
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw this.#foreign(response, cause);
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw this.#foreign(response, parsed.error);
    return parsed.data;
  }

  /** The answer as it comes, once its status says success; its body is still to be read. */
  stream(call: Call): Promise<FetchAnswer> {
    return this.#exchange(call, (answer) => Promise.resolve(answer));
  }

  /** One call and its repetitions; an answer that breaks off while it is read counts as none. */
  async #exchange<T>(call: Call, read: (answer: FetchAnswer) => Promise<T>): Promise<T> {
    const request = this.#request(call);
    const until = performance.now() + this.#options.retry.forMs;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const response = await this.#options.fetch(this.#address(call), request);
        if (response.ok) return await read(response);
        throw this.#problem(response, await response.text());
      } catch (error) {
        if (error instanceof LastgoodError || call.signal?.aborted === true) throw error;
        const mayRepeat = attempt > 0 || !isRefused(error) || this.#options.retry.whenRefused;
        if (!mayRepeat || performance.now() >= until) throw this.#unreachable(error);
        await pause(RETRY_PAUSE_MS * Math.min(4, attempt + 1));
      }
    }
  }

  #address(call: Call): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== null && value !== undefined) query.set(name, String(value));
    }
    const search = query.size === 0 ? "" : `?${query.toString()}`;
    return `${this.#options.url.replace(/\/+$/, "")}${call.path}${search}`;
  }

  #request(call: Call): FetchRequest {
    const headers: Record<string, string> = { accept: "application/json", ...call.headers };
    if (this.#options.token !== undefined)
      headers["authorization"] = `Bearer ${this.#options.token}`;
    if (call.method !== "GET") headers["idempotency-key"] ??= globalThis.crypto.randomUUID();
    const body = call.bytes ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    if (call.bytes !== undefined)
      headers["content-type"] = call.contentType ?? "application/octet-stream";
    else if (call.method !== "GET") headers["content-type"] = "application/json";
    return {
      method: call.method,
      headers,
      redirect: "error",
      ...(body === undefined ? {} : { body }),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    };
  }

  #problem(response: FetchAnswer, text: string): LastgoodError {
    let value: unknown = null;
    try {
      value = JSON.parse(text);
    } catch {
      return this.#foreign(response, null);
    }
    const problem = problemSchema.safeParse(value);
    if (!problem.success) return this.#foreign(response, problem.error);
    const { code, message, detail, title, hint, details, passedOver } = problem.data;
    const words = message ?? detail ?? title ?? `the server answered ${response.status}`;
    return LastgoodError.fromBody({ code, message: words, hint, details, passedOver });
  }

  #unreachable(cause: unknown): LastgoodError {
    return new LastgoodError("server.unreachable", `no server answers at ${this.#options.url}`, {
      hint: "start one with: lastgood serve",
      details: { url: this.#options.url, reason: reasonOf(cause) },
      cause,
    });
  }

  #foreign(response: FetchAnswer, cause: unknown): LastgoodError {
    const what = cause instanceof z.ZodError ? z.prettifyError(cause) : null;
    return new LastgoodError(
      "link.invalid",
      `${this.#options.url} answered ${response.status} in a form this client does not know`,
      {
        hint: "is it a lastgood server of the same version? GET /healthz tells",
        details: { url: this.#options.url, status: response.status, ...(what ? { what } : {}) },
        cause,
      },
    );
  }
}

function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeOf(error.cause);
}

function isRefused(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN";
}

function reasonOf(error: unknown): string {
  return codeOf(error) ?? (error instanceof Error ? error.message : String(error));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
