import { contentLengthOf, readFields, type Fields } from "./fields.ts";

/** The head of a request of the plain form. */
export interface RequestHead {
  readonly method: string;
  /** Path and query as they came, from the first slash. */
  readonly target: string;
  readonly fields: Fields;
  /** Of the body, bytes; 0 where there is none. */
  readonly contentLength: number;
  /** The caller wants the connection to end with the answer. */
  readonly closes: boolean;
}

const METHODS: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
]);
const VERSION = " HTTP/1.1\r\n";
const SLASH = 47;
const HASH = 35;

/**
 * Reads the head of a request, one character per byte, up to and with the CRLF of its last line (RFC
 * 9112). Only the plain form: one of the usual methods, a path, HTTP/1.1, exactly one Host, the length
 * in digits or no body, no field twice, and nothing that changes the framing or the connection.
 * @returns null for every other text, which is then for another parser to judge.
 */
export function readRequestHead(text: string): RequestHead | null {
  const space = text.indexOf(" ");
  const method = text.slice(0, space);
  if (space === -1 || !METHODS.has(method)) return null;
  const end = endOfTarget(text, space + 1);
  if (end === -1 || !text.startsWith(VERSION, end)) return null;
  const fields = readFields(text, end + VERSION.length);
  if (fields === null || hasRepeated(fields.list)) return null;
  const framing = framingOf(fields.list);
  return framing && { method, target: text.slice(space + 1, end), fields, ...framing };
}

/** Other fields that decide where a message ends or what becomes of its connection. */
const FOREIGN: ReadonlySet<string> = new Set([
  "te",
  "expect",
  "trailer",
  "upgrade",
  "proxy-connection",
  "transfer-encoding",
]);

/** Null where a field says anything but the plain form. */
function framingOf(list: readonly string[]): Pick<RequestHead, "contentLength" | "closes"> | null {
  let hasHost = false;
  let contentLength: number | null = 0;
  let closes: boolean | null = false;
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] ?? "";
    const value = list[at + 1] ?? "";
    if (name === "host") hasHost = value !== "";
    else if (name === "content-length") contentLength = contentLengthOf(value);
    else if (name === "connection") closes = closesBy(value);
    else if (FOREIGN.has(name)) return null;
  }
  if (!hasHost || contentLength === null || closes === null) return null;
  return { contentLength, closes };
}

/** Of longer heads a connection keeps nothing, bytes. */
const REMEMBERED_BYTES = 1024;
const REMEMBERED_HEADS = 4;

/**
 * Reads the heads of one connection. Callers send the same ones over and over, but for the length of
 * their body: the last few are remembered by their text, so that most cost one comparison.
 */
export class HeadReader {
  readonly #texts: string[] = [];
  readonly #heads: RequestHead[] = [];
  #next = 0;
  /** Of the last one, with the empty line behind it, bytes. */
  #length = 0;

  /** The head that `bytes` begin with, where it is as long as the last one and remembered. */
  known(bytes: Buffer): { readonly head: RequestHead; readonly end: number } | null {
    const end = this.#length;
    if (end === 0 || bytes.length < end) return null;
    const head = this.#heads[this.#texts.indexOf(bytes.toString("latin1", 0, end))];
    return head === undefined ? null : { head, end };
  }

  /** As `readRequestHead`; `text` ends with the empty line. */
  read(text: string): RequestHead | null {
    const known = this.#texts.indexOf(text);
    if (known !== -1) {
      this.#length = text.length;
      return this.#heads[known] ?? null;
    }
    const head = readRequestHead(text.slice(0, -2));
    if (head !== null && text.length <= REMEMBERED_BYTES) {
      this.#texts[this.#next] = text;
      this.#heads[this.#next] = head;
      this.#next = (this.#next + 1) % REMEMBERED_HEADS;
      this.#length = text.length;
    }
    return head;
  }
}

/** Where the space is that ends a target of visible ASCII without a fragment; -1 where it is no such. */
function endOfTarget(text: string, from: number): number {
  if (text.charCodeAt(from) !== SLASH) return -1;
  let at = from;
  let code = SLASH;
  while (code > 32 && code < 127 && code !== HASH) {
    at += 1;
    code = text.charCodeAt(at);
  }
  return code === 32 ? at : -1;
}

function hasRepeated(list: readonly string[]): boolean {
  for (let at = 2; at < list.length; at += 2) {
    const name = list[at] ?? "";
    for (let before = 0; before < at; before += 2) {
      const other = list[before] ?? "";
      if (other.length === name.length && other === name) return true;
    }
  }
  return false;
}

/** Null for anything but the two plain options. */
function closesBy(connection: string): boolean | null {
  if (connection === "keep-alive") return false;
  if (connection === "close") return true;
  const option = connection.toLowerCase();
  if (option === "keep-alive") return false;
  return option === "close" ? true : null;
}

/** A request line that is not whole yet. */
const BEGUN_LINE = /^(?:[A-Z]{0,7}|[A-Z]{3,7} (?:\/[!"$-~]*(?: [HTP/1.]{0,8}\r?)?)?)$/;
/** The line of a field that is not whole yet. */
const BEGUN_FIELD = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?::[\t\x20-\x7e\x80-\xff]*)?\r?|\r?)$/;

/**
 * Whether what came of a head may still become one of the plain form, as far as its lines show. What
 * cannot is better judged at once than waited for.
 */
export function mayBecomeHead(text: string): boolean {
  const end = text.lastIndexOf("\r\n");
  if (end === -1) return BEGUN_LINE.test(text);
  const line = text.indexOf("\r\n");
  const method = text.indexOf(" ");
  const target = endOfTarget(text, method + 1);
  return (
    METHODS.has(text.slice(0, method)) &&
    target !== -1 &&
    text.startsWith(VERSION, target) &&
    readFields(text.slice(0, end + 2), line + 2) !== null &&
    BEGUN_FIELD.test(text.slice(end + 2))
  );
}
