import { createHash } from "node:crypto";

import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OperationStore } from "../../storage/store/index.ts";
import type { Answer } from "./problem.ts";

const keptSchema = z.object({
  /** Of method, path and body: a key belongs to one request. */
  fingerprint: z.string(),
  status: z.number().int(),
  text: z.string(),
});

type KeptAnswer = z.infer<typeof keptSchema>;

/** A store that is down or slow must not stand in the way of a rollback, ms. */
const FIND_LIMIT_MS = 200;
const KEEP_LIMIT_MS = 1_000;

/** What a request with an `Idempotency-Key` asks for. */
export interface KeyedRequest {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly text: string;
}

interface Running {
  readonly fingerprint: string;
  readonly answer: Promise<Answer>;
}

/** @throws `input.invalid` for a key that could not be kept. */
export function parseIdempotencyKey(header: string): string {
  if (/^[\x21-\x7e]{1,200}$/.test(header)) return header;
  throw new LastgoodError("input.invalid", "the Idempotency-Key header is not accepted", {
    hint: "1 to 200 printable ASCII characters without spaces, for example a UUID",
  });
}

function fingerprintOf({ method, path, text }: KeyedRequest): string {
  return createHash("sha256")
    .update(JSON.stringify([method, path, text]))
    .digest("hex");
}

/**
 * Under which name an endpoint remembers what the request asked for: the key belongs to one request,
 * so another under the same key is another command. Begins with the key, by which a gateway on its
 * own tells a repeat.
 */
export function operationOf(request: KeyedRequest): string {
  return `${request.key} ${fingerprintOf(request).slice(0, 16)}`;
}

/**
 * Runs each keyed request once: a repeat gets the first one's answer, also while that one still
 * runs. Answers from 500 on are not kept, so that a repeat is heard again, as it is where the process
 * ended before it answered; what an endpoint had taken of it by then is not done twice
 * (`core/rollout/repeat.ts`).
 */
export class KeptAnswers {
  readonly #store: OperationStore;
  readonly #now: () => number;
  readonly #onUnkept: (error: unknown) => void;
  readonly #running = new Map<string, Running>();

  constructor(store: OperationStore, now: () => number, onUnkept: (error: unknown) => void) {
    this.#store = store;
    this.#now = now;
    this.#onUnkept = onUnkept;
  }

  /** @throws `input.invalid` when the key was used for another request. */
  async once(request: KeyedRequest, run: () => Promise<Answer>): Promise<Answer> {
    const fingerprint = fingerprintOf(request);
    const running = this.#running.get(request.key);
    if (running !== undefined) return same(running.fingerprint, fingerprint, running.answer);
    const answer = this.#findOrRun(request.key, fingerprint, run);
    this.#running.set(request.key, { fingerprint, answer });
    try {
      return await answer;
    } finally {
      this.#running.delete(request.key);
    }
  }

  async #findOrRun(key: string, fingerprint: string, run: () => Promise<Answer>): Promise<Answer> {
    const kept = await this.#find(key);
    if (kept !== null) return same(kept.fingerprint, fingerprint, kept);
    const answer = await run();
    if (answer.status >= 500) return answer;
    const put = this.#store.put({
      key: storeKey(key),
      answer: { fingerprint, status: answer.status, text: answer.text },
      at: this.#now(),
    });
    // What was asked for has been done: that the answer could not be kept does not undo it.
    await within(put, KEEP_LIMIT_MS).catch(this.#onUnkept);
    return answer;
  }

  async #find(key: string): Promise<KeptAnswer | null> {
    try {
      const kept = await within(this.#store.get(storeKey(key)), FIND_LIMIT_MS);
      return kept === null ? null : keptSchema.parse(kept.answer);
    } catch (error) {
      this.#onUnkept(error);
      return null;
    }
  }
}

function storeKey(key: string): string {
  return `http ${key}`;
}

async function within<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LastgoodError("store.unavailable", `the store took longer than ${limitMs} ms`));
    }, limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function same<T>(known: string, fingerprint: string, answer: T): T {
  if (known === fingerprint) return answer;
  throw new LastgoodError(
    "input.invalid",
    "this Idempotency-Key was used for another request before",
    { hint: "use a new key for each command, the same one only to repeat it" },
  );
}
