import { requestInvalid } from "../protocol/index.ts";

/** One field: its text, and whether it stood in quotes. */
export interface CsvField {
  readonly text: string;
  readonly quoted: boolean;
}

/** A run of plain text up to the next comma, line end or the end. */
const PLAIN = /[^,\r\n]*/y;
const LINE_END = /\r\n|\n|\r/y;

function broken(row: number, what: string): Error {
  return requestInvalid(`CSV line ${row + 1}: ${what}`, {
    where: "body",
    accepted: "comma-separated values with a header line (RFC 4180)",
  });
}

/**
 * The records of CSV text after RFC 4180: quoted fields may hold commas, line ends and doubled quotes;
 * CRLF, LF and CR end a record; lines without any character are skipped, as pandas does. A quote
 * inside an unquoted field is an ordinary character.
 * @throws `request.invalid` where a quoted field does not end, or more than a comma follows its end.
 */
export function parseCsv(text: string): readonly (readonly CsvField[])[] {
  const rows: CsvField[][] = [];
  let fields: CsvField[] = [];
  let at = text.startsWith("\uFEFF") ? 1 : 0;

  const quotedField = (): string => {
    let value = "";
    for (;;) {
      const end = text.indexOf('"', at + 1);
      if (end < 0) throw broken(rows.length, "a quoted field does not end");
      value += text.slice(at + 1, end);
      at = end + 1;
      if (text[at] !== '"') return value;
      value += '"';
    }
  };
  const lineEnd = (): boolean => {
    LINE_END.lastIndex = at;
    const found = LINE_END.test(text);
    if (found) at = LINE_END.lastIndex;
    return found;
  };

  while (at < text.length) {
    if (fields.length === 0 && lineEnd()) continue;
    const quoted = text[at] === '"';
    PLAIN.lastIndex = at;
    const value = quoted ? quotedField() : (PLAIN.exec(text)?.[0] ?? "");
    if (!quoted) at += value.length;
    fields.push({ text: value, quoted });
    if (text[at] === ",") {
      at += 1;
      if (at < text.length) continue;
      fields.push({ text: "", quoted: false });
    } else if (at < text.length && !lineEnd()) {
      throw broken(rows.length, "a quoted field is followed by more than a comma");
    }
    rows.push(fields);
    fields = [];
  }
  return rows;
}
