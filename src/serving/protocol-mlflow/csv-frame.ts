import type { DType } from "../../core/tensor/index.ts";
import { requestInvalid } from "../protocol/index.ts";
import { parseCsv, type CsvField } from "./csv.ts";
import type { Frame } from "./frame.ts";

/** Texts that pandas reads as a missing number. */
const MISSING = new Set(
  "#N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
    .split("|")
    .concat(""),
);

const DIGITS = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;
/** A sign and the digits of the largest 64-bit integer. */
const LONGEST_INTEGER = 21;
const LONGEST_SAFE = 15;

function numberOf(text: string): unknown {
  if (DIGITS.test(text) && text.length > LONGEST_SAFE && text.length <= LONGEST_INTEGER) {
    return BigInt(text.startsWith("+") ? text.slice(1) : text);
  }
  if (NUMBER.test(text)) return Number(text);
  const infinite = INFINITE.exec(text);
  if (infinite === null) return text;
  return infinite[1] === "-" ? -Infinity : Infinity;
}

/**
 * The JSON value that a CSV field stands for where elements of `dtype` are wanted. In a text column
 * only a field with nothing in it is missing: unlike in pandas, `NA` there is the text NA, and `""` the
 * empty text.
 */
function valueOf(field: CsvField | undefined, dtype: DType): unknown {
  if (field === undefined) return null;
  if (dtype === "BYTES") return field.text === "" && !field.quoted ? null : field.text;
  const text = field.text.trim();
  if (MISSING.has(text)) return null;
  if (dtype !== "BOOL") return numberOf(text);
  const lower = text.toLowerCase();
  return lower === "true" || lower === "false" ? lower === "true" : text;
}

/**
 * The frame of CSV text with a header line.
 * @throws `request.invalid` where it is not CSV, has no header, or a line has another number of fields.
 */
export function csvFrame(text: string): Frame {
  const [header, ...lines] = parseCsv(text);
  if (header === undefined) {
    throw requestInvalid("the CSV has no header line", {
      where: "body",
      accepted: "a line of column names, then the rows",
    });
  }
  const width = header.length;
  const odd = lines.findIndex((line) => line.length !== width);
  if (odd >= 0) {
    throw requestInvalid(`row ${odd} of the CSV has ${lines[odd]?.length} fields`, {
      where: `row ${odd}`,
      accepted: `${width}, as in the header`,
    });
  }
  return {
    columns: header.map((field) => field.text),
    rows: lines.length,
    width,
    row: (index, dtype) => (lines[index] ?? []).map((field) => valueOf(field, dtype)),
    cell: (row, column, dtype) => valueOf(lines[row]?.[column], dtype),
  };
}
