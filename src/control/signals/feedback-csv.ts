import type { FeedbackItem } from "../../core/api/index.ts";
import { csvRows, type CsvRow } from "../../core/csv/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";

/** Most rows of one upload. */
const MOST_ROWS = 100_000;
const LONGEST_LABEL = 1_000;
const ID_COLUMN = "request_id";
const VALUE_COLUMNS = ["label", "correct", "score"] as const;
const TRUTHS: Readonly<Record<string, boolean>> = {
  true: true,
  "1": true,
  yes: true,
  false: false,
  "0": false,
  no: false,
};

type ValueColumn = (typeof VALUE_COLUMNS)[number];

function mistake(line: number, why: string): LastgoodError {
  return new LastgoodError("input.invalid", `line ${line}: ${why}`, {
    hint: "a first line request_id,label (or correct, or score), then one prediction a line",
    details: { line },
  });
}

function readHeader(row: CsvRow): { readonly id: number; readonly value: ValueColumn } {
  const names = row.cells.map((cell) => cell.trim().toLowerCase());
  const id = names.indexOf(ID_COLUMN);
  const value = VALUE_COLUMNS.find((name) => names.includes(name));
  if (names.length === 2 && id >= 0 && value !== undefined) return { id, value };
  throw mistake(
    row.line,
    `the columns are ${names.join(", ").slice(0, 200)}; accepted are request_id and one of label, correct and score`,
  );
}

function readItem(row: CsvRow, { id, value }: { id: number; value: ValueColumn }): FeedbackItem {
  if (row.cells.length !== 2) throw mistake(row.line, `has ${row.cells.length} cells, not 2`);
  const requestId = (row.cells[id] ?? "").trim();
  const text = row.cells[1 - id] ?? "";
  if (requestId === "") throw mistake(row.line, "the request_id is empty");
  switch (value) {
    case "label":
      if (text === "") throw mistake(row.line, "the label is empty");
      if (text.length > LONGEST_LABEL) {
        throw mistake(row.line, `the label is longer than ${LONGEST_LABEL} characters`);
      }
      return { requestId, label: text };
    case "correct": {
      const correct = TRUTHS[text.trim().toLowerCase()];
      if (correct === undefined) {
        throw mistake(row.line, `correct is "${text.slice(0, 40)}"; accepted are true and false`);
      }
      return { requestId, correct };
    }
    case "score": {
      const score = text.trim() === "" ? Number.NaN : Number(text);
      if (!(score >= 0 && score <= 1)) {
        throw mistake(
          row.line,
          `score is "${text.slice(0, 40)}"; accepted are numbers from 0 to 1`,
        );
      }
      return { requestId, score };
    }
  }
}

/**
 * Feedback as a CSV text: the columns `request_id` and one of `label`, `correct` and `score`. One
 * mistake refuses all of it.
 * @throws `input.invalid` naming the line; `body.too-large` beyond 100 000 rows.
 */
export function readFeedbackCsv(text: string): FeedbackItem[] {
  const items: FeedbackItem[] = [];
  let header: { id: number; value: ValueColumn } | null = null;
  for (const row of csvRows(text, mistake)) {
    if (header === null) {
      header = readHeader(row);
      continue;
    }
    if (items.length >= MOST_ROWS) {
      throw new LastgoodError("body.too-large", `there are more than ${MOST_ROWS} rows`, {
        hint: "send them in several uploads",
      });
    }
    items.push(readItem(row, header));
  }
  if (items.length === 0) throw mistake(1, "there are no rows");
  return items;
}
