import { contentLengthOf, readFields, type Fields } from "./fields.ts";
import { AnswerInvalid } from "./upstream-failure.ts";

/** How a body ends: after so many bytes, with a last chunk, or with its connection. */
export type Framing = number | "chunked" | "close";

/** The head of an answer. */
export interface AnswerHead {
  readonly status: number;
  readonly fields: Fields;
  readonly framing: Framing;
  /** Whether the connection may be used again after the answer. */
  readonly isKept: boolean;
  /** How long the server keeps it when nothing is asked, ms; null where it does not say. */
  readonly keptMs: number | null;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const KEPT_SECONDS = /(?:^|[,;\s])timeout\s*=\s*"?(\d{1,7})/i;

/** What the fields say of the message and its connection. */
interface Said {
  length: string | null;
  coding: string | null;
  connection: string;
  keepAlive: string | null;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40)).slice(1, -1);
}

function once(name: string, before: string | null, value: string): string {
  // Two of them, even alike, may be taken for either one: RFC 9112, section 6.3.
  if (before !== null) throw new AnswerInvalid(`it has more than one ${name}`);
  return value;
}

function saidBy({ list }: Fields): Said {
  const said: Said = { length: null, coding: null, connection: "", keepAlive: null };
  for (let at = 0; at < list.length; at += 2) {
    const value = list[at + 1] ?? "";
    const name = list[at];
    if (name === "content-length") said.length = once(name, said.length, value);
    else if (name === "transfer-encoding") said.coding = once(name, said.coding, value);
    else if (name === "connection") said.connection += `${value},`;
    else if (name === "keep-alive") said.keepAlive = value;
  }
  return said;
}

function framingOf({ length, coding }: Said, isOld: boolean): Framing {
  if (coding === null) {
    if (length === null) return "close";
    const bytes = contentLengthOf(length);
    if (bytes === null) throw new AnswerInvalid(`its content-length is "${shown(length)}"`);
    return bytes;
  }
  // What two programs may take for two lengths: RFC 9112, section 6.1.
  if (length !== null)
    throw new AnswerInvalid("it has both a content-length and a transfer-encoding");
  if (isOld) throw new AnswerInvalid("it has a transfer-encoding, which HTTP/1.0 does not know");
  if (coding.toLowerCase() !== "chunked")
    throw new AnswerInvalid(`its transfer-encoding is "${shown(coding)}", not chunked`);
  return "chunked";
}

function isKept({ connection }: Said, isOld: boolean): boolean {
  if (connection === "") return !isOld;
  const options = connection.toLowerCase().split(/[\s,]+/);
  return options.includes("close") ? false : !isOld || options.includes("keep-alive");
}

function keptMsOf({ keepAlive }: Said): number | null {
  if (keepAlive === null) return null;
  const [, seconds] = KEPT_SECONDS.exec(keepAlive) ?? [];
  return seconds === undefined ? null : Number(seconds) * 1_000;
}

/**
 * Reads the head of an answer: the status line and the field lines, each with its CRLF, without the
 * empty line behind them, one character for each byte
 * (https://www.rfc-editor.org/rfc/rfc9112.html, sections 4 to 6).
 * @param isHead whether `HEAD` was asked, so that no body comes
 * @throws `AnswerInvalid` for what is not of the grammar, and for lengths that contradict each other.
 */
export function readAnswerHead(text: string, isHead: boolean): AnswerHead {
  const end = text.indexOf("\r\n");
  const [, minor, code] = STATUS_LINE.exec(text.slice(0, end)) ?? [];
  if (code === undefined)
    throw new AnswerInvalid(`"${shown(text.slice(0, end))}" is no status line of HTTP/1.1`);
  const fields = readFields(text, end + 2);
  if (fields === null) throw new AnswerInvalid("its header lines are not as HTTP/1.1 has them");
  const status = Number(code);
  const isOld = minor === "0";
  const said = saidBy(fields);
  const framing = framingOf(said, isOld);
  const isBodiless = isHead || status < 200 || status === 204 || status === 304;
  return {
    status,
    fields,
    framing: isBodiless ? 0 : framing,
    isKept: (isBodiless || framing !== "close") && isKept(said, isOld),
    keptMs: keptMsOf(said),
  };
}
