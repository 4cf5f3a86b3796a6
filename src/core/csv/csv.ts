import type { LastgoodError } from "../errors/index.ts";

/** One row of a CSV text. */
export interface CsvRow {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** A cell in quotes from `at` on, and where it ends; `""` inside is a quote. */
function quotedCell(
  text: string,
  at: number,
  refuse: (why: string) => LastgoodError,
): { cell: string; end: number } {
  let cell = "";
  for (let from = at + 1; ;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw refuse("a quote is not closed");
    cell += text.slice(from, quote);
    if (text[quote + 1] !== '"') return { cell, end: quote + 1 };
    cell += '"';
    from = quote + 2;
  }
}

/**
 * The rows of a CSV text (RFC 4180), empty lines and a byte order mark left out.
 * @throws what `mistake` makes of a line and what is wrong there.
 */
export function* csvRows(
  given: string,
  mistake: (line: number, why: string) => LastgoodError,
): Generator<CsvRow, void> {
  const text = given.replace(/^\uFEFF/, "");
  const ends = /[,\n]/g;
  let cells: string[] = [];
  let line = 1;
  let startLine = 1;
  for (let at = 0; at <= text.length;) {
    let cell: string;
    let end: number;
    if (text[at] === '"') {
      ({ cell, end } = quotedCell(text, at, (why) => mistake(line, why)));
      line += cell.split("\n").length - 1;
      if (text[end] === "\r") end += 1;
      if (end < text.length && text[end] !== "," && text[end] !== "\n")
        throw mistake(line, "something stands behind a closed quote");
    } else {
      ends.lastIndex = at;
      end = ends.exec(text)?.index ?? text.length;
      cell = text.slice(at, end).replace(/\r$/, "");
    }
    cells.push(cell);
    at = end + 1;
    if (text[end] === ",") continue;
    if (cells.length > 1 || cells[0]?.trim() !== "") yield { line: startLine, cells };
    cells = [];
    line += 1;
    startLine = line;
  }
}
