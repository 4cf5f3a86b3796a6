/** Longest head of a message that is read here: start line, fields and the empty line, bytes. */
export const MAX_HEAD_BYTES = 16 * 1024;
/** Most field lines in a head that is read here. */
export const MAX_FIELDS = 100;

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const COLON = 58;
const OTHER = 0;
/** Kinds of characters by their code; what a token may not have is `OTHER`. */
const TOKEN = 1;
const UPPER = 2;

/** `token` of RFC 9110, section 5.6.2; capital letters are marked, so that most names need no folding. */
const KINDS = kinds();

function kinds(): Uint8Array {
  const table = new Uint8Array(256);
  for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
    table[char.charCodeAt(0)] = TOKEN;
  for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZ") table[char.charCodeAt(0)] = UPPER;
  return table;
}

/** Whether a text is a `token` (RFC 9110, section 5.6.2): a method, the name of a field. */
export function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at += 1)
    if ((KINDS[text.charCodeAt(at)] ?? OTHER) === OTHER) return false;
  return text !== "";
}

/** Whether a character may stand in a field's value: visible, space, tab or beyond ASCII (obs-text). */
function isOfValue(code: number): boolean {
  return (code >= SPACE && code !== 127 && code <= 255) || code === TAB;
}

/**
 * Whether a text may be sent as a field's value as it is: nothing that would end the line, and
 * nothing that no byte stands for.
 */
export function isFieldValue(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (!isOfValue(text.charCodeAt(at))) return false;
  return true;
}

/** The fields of a message's head, in their order. */
export class Fields {
  /** Name, value, name, value. Names in lower case, values without the white space around them. */
  readonly list: readonly string[];

  constructor(list: readonly string[]) {
    this.list = list;
  }

  /** The value of the first field of that name (lower case), or null. */
  get(name: string): string | null {
    const { list } = this;
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return list[at + 1] ?? null;
    return null;
  }

  /** How many fields have that name (lower case). */
  count(name: string): number {
    let count = 0;
    for (let at = 0; at < this.list.length; at += 2) if (this.list[at] === name) count += 1;
    return count;
  }
}

/**
 * Reads the field lines of a head (RFC 9112, section 5), one character per byte: `text` from `from` to
 * its end, each line with its CRLF, without the empty line that follows. Stricter than the standard
 * allows: every line is `name ":" value CRLF`; no folded lines, no lone CR or LF, no NUL or other
 * control character, no white space before the colon, `MAX_FIELDS` lines at most.
 * @returns null where the text is anything else.
 */
export function readFields(text: string, from: number): Fields | null {
  const list: string[] = [];
  let at = from;
  while (at < text.length) {
    const colon = endOfName(text, at);
    if (colon === -1 || list.length === 2 * MAX_FIELDS) return null;
    const end = endOfValue(text, colon + 1);
    if (end === -1) return null;
    list.push(nameOf(text, at, colon), trimmed(text, colon + 1, end));
    at = end + 2;
  }
  return new Fields(list);
}

/** Where the colon is that follows a name which begins at `from`; -1 where no such name does. */
function endOfName(text: string, from: number): number {
  let at = from;
  while ((KINDS[text.charCodeAt(at)] ?? OTHER) !== OTHER) at += 1;
  return at > from && text.charCodeAt(at) === COLON ? at : -1;
}

/** Where the CRLF is that ends a value; -1 where something else comes before it. */
function endOfValue(text: string, from: number): number {
  let at = from;
  while (isOfValue(text.charCodeAt(at))) at += 1;
  return text.charCodeAt(at) === CR && text.charCodeAt(at + 1) === LF ? at : -1;
}

function nameOf(text: string, from: number, to: number): string {
  const name = text.slice(from, to);
  for (let at = from; at < to; at += 1)
    if (KINDS[text.charCodeAt(at)] === UPPER) return name.toLowerCase();
  return name;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const DIGITS = /^[0-9]{1,15}$/;

/** A `content-length` (RFC 9110, section 8.6), bytes: digits alone. Null for anything else. */
export function contentLengthOf(value: string): number | null {
  return DIGITS.test(value) ? Number(value) : null;
}
