import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const MINUTE_MS = 60_000;
const TAG_BYTES = 12;
/** A name of 128 characters and every number at its longest. */
const MAX_LENGTH = 250;
const FORM =
  /^(?<text>(?<endpoint>[A-Za-z0-9][A-Za-z0-9._-]{0,127})\.(?<revision>\d{1,10})\.(?<minute>\d{1,10})\.(?<worker>\d{1,10})(?<mark>[tpf]?))\.(?<tag>[\w-]{16})\.\d{1,16}$/;

/**
 * How a request came to the revision that answered it. Only what the split assigned is compared:
 * `targeted` named the version, `fallback` was assigned to another one that failed it.
 */
export type RequestWay = "assigned" | "targeted" | "probe" | "fallback";

/** Part of the worker's field, so that the tag covers it. */
const MARKS: Readonly<Record<RequestWay, string>> = {
  assigned: "",
  targeted: "t",
  probe: "p",
  fallback: "f",
};

/** What a request id says. */
export interface RequestIdParts {
  readonly endpoint: string;
  readonly revision: number;
  /** Minutes since 1970, of the answer. */
  readonly minute: number;
  readonly way: RequestWay;
}

/** What was read of a text: an id of ours, or why it is none. */
export type ReadRequestId =
  | { readonly id: RequestIdParts; readonly why: null }
  | { readonly id: null; readonly why: string };

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

function tagOf(key: string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest().subarray(0, TAG_BYTES);
}

/**
 * Ids of the form `endpoint.revision.minute.worker.tag.counter`. The tag is a 96-bit HMAC-SHA256 of
 * what precedes it and is made once per minute: per request it would cost 7 %.
 */
export class RequestIds {
  readonly #key: string;
  readonly #subject: string;
  readonly #worker: string;
  #minute = -1;
  #prefix = "";
  #counter = 0;

  /** `subject` is `endpoint.revision`. */
  constructor(key: string, subject: string, worker: number, way: RequestWay = "assigned") {
    this.#key = key;
    this.#subject = subject;
    this.#worker = `${worker}${MARKS[way]}`;
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
    this.#prefix = `${text}.${tagOf(this.#key, text).toString("base64url")}.`;
    this.#minute = minute;
    // A gateway restarted within the minute counts on above what the one before it can have given:
    // no worker answers a thousand requests per millisecond.
    this.#counter = (now % MINUTE_MS) * 1_000;
  }
}

function wayOf(mark: string): RequestWay {
  const ways = Object.keys(MARKS) as RequestWay[];
  return ways.find((way) => MARKS[way] === mark) ?? "assigned";
}

/** Reads an id that `RequestIds` made with this key. */
export function readRequestId(key: string, text: string): ReadRequestId {
  const groups = text.length > MAX_LENGTH ? undefined : FORM.exec(text)?.groups;
  if (groups === undefined) {
    return {
      id: null,
      why: "is not a request id: every answer has one in its x-lastgood-request-id header",
    };
  }
  const { text: signed = "", endpoint = "", mark = "", tag = "" } = groups;
  const given = Buffer.from(tag, "base64url");
  const made = tagOf(key, signed);
  if (given.length !== made.length || !timingSafeEqual(given, made)) {
    return {
      id: null,
      why: "was not made by this server: its tag does not fit (altered, or of another data folder)",
    };
  }
  const parts = {
    endpoint,
    revision: Number(groups["revision"]),
    minute: Number(groups["minute"]),
    way: wayOf(mark),
  };
  return { id: parts, why: null };
}
