import { STATUS_CODES } from "node:http";

import { isFieldValue, isToken } from "./fields.ts";

/** Fields of an answer: names in any case, a list for a field that is sent several times. */
export type AnswerFields = Readonly<Record<string, string | readonly string[]>>;

const LINES = new Map<number, string>();

/**
 * The status line, with its CRLF.
 * @throws RangeError for a status that ends no exchange, below 200 or beyond 999.
 */
export function statusLine(status: number): string {
  let line = LINES.get(status);
  if (line === undefined) {
    if (!Number.isInteger(status) || status < 200 || status > 999)
      throw new RangeError(`no answer has the status ${status}`);
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
    LINES.set(status, line);
  }
  return line;
}

interface Line {
  value: string;
  text: string;
}

/** The last line of each name: most values are the same in every answer. */
const LAST = new Map<string, Line>();
const MAX_NAMES = 1_000;

/**
 * The lines of the fields, each with its CRLF.
 * @throws TypeError for a name that is no token, and for a value that would end its line.
 */
export function fieldLines(fields: AnswerFields): string {
  let lines = "";
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value !== undefined) lines += linesOf(name, value);
  }
  return lines;
}

/** The lines of one field. @throws TypeError as `fieldLines` does. */
export function linesOf(name: string, value: string | readonly string[]): string {
  if (typeof value === "string") return fieldLine(name, value);
  let lines = "";
  for (const each of value) lines += fieldLine(name, each);
  return lines;
}

function fieldLine(name: string, value: string): string {
  const last = LAST.get(name);
  if (last?.value === value) return last.text;
  if (last === undefined && !isToken(name))
    throw new TypeError(`no field has the name ${JSON.stringify(name)}`);
  if (!isFieldValue(value)) throw new TypeError(`the value of ${name} has characters it must not`);
  const text = `${name}: ${value}\r\n`;
  if (last !== undefined) {
    last.value = value;
    last.text = text;
  } else if (LAST.size < MAX_NAMES) LAST.set(name, { value, text });
  return text;
}

let dateSecond = 0;
let dateText = "";

/** The `Date` line for now. */
export function dateLine(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateText;
}
