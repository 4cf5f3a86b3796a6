import { createHmac, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const MINUTE_MS = 60_000;
const TAG_BYTES = 12;

/** The key that request ids are made with, hex; made with mode 0600 where there is none. */
export function requestIdKey(path: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(path, `${randomBytes(32).toString("hex")}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(path, "utf8").trim();
}

/**
 * Ids of the form `endpoint.revision.minute.worker.tag.counter`. The tag is a 96-bit HMAC-SHA256 of
 * what precedes it and is made once per minute: per request it would cost 7 %.
 */
export class RequestIds {
  readonly #key: string;
  readonly #subject: string;
  readonly #worker: number;
  #minute = -1;
  #prefix = "";
  #counter = 0;

  /** `subject` is `endpoint.revision`. */
  constructor(key: string, subject: string, worker: number) {
    this.#key = key;
    this.#subject = subject;
    this.#worker = worker;
  }

  /** A new id; `now` is ms since 1970. */
  next(now: number): string {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) this.#begin(minute, now);
    this.#counter += 1;
    return this.#prefix + this.#counter;
  }

  #begin(minute: number, now: number): void {
    const text = `${this.#subject}.${minute}.${this.#worker}`;
    const tag = createHmac("sha256", this.#key).update(text).digest().subarray(0, TAG_BYTES);
    this.#prefix = `${text}.${tag.toString("base64url")}.`;
    this.#minute = minute;
    // A gateway restarted within the minute counts on above what the one before it can have given:
    // no worker answers a thousand requests per millisecond.
    this.#counter = (now % MINUTE_MS) * 1_000;
  }
}
