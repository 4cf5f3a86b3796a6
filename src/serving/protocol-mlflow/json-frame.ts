import {
  described,
  isJsonObject,
  member,
  parseJson,
  quoted,
  requestInvalid,
  type JsonReading,
} from "../protocol/index.ts";
import type { Frame } from "./frame.ts";

type JsonObject = Readonly<Record<string, unknown>>;

function rowsFrame(
  columns: readonly string[] | null,
  rows: readonly (readonly unknown[])[],
  width: number,
): Frame {
  return {
    columns,
    rows: rows.length,
    width,
    row: (index) => rows[index] ?? [],
    cell: (row, column) => rows[row]?.[column],
  };
}

const SPLIT_KEYS = ["columns", "data", "index"];

function splitColumns(value: unknown): readonly string[] | null {
  if (value === undefined || value === null) return null;
  const isNames =
    Array.isArray(value) &&
    value.every((name) => typeof name === "string" || typeof name === "number");
  if (isNames) return value.map(String);
  throw requestInvalid(`columns is ${described(value)}`, {
    where: "dataframe_split.columns",
    accepted: "an array of names",
  });
}

/**
 * The frame of `{"columns": […], "data": [[…]], "index": […]}`; only `data` has to be there. Unlike
 * pandas, which fills short rows up, rows of different length are refused.
 * @throws `request.invalid`.
 */
export function splitFrame(value: unknown): Frame {
  if (!isJsonObject(value)) {
    throw requestInvalid(`dataframe_split is ${described(value)}`, {
      where: "dataframe_split",
      accepted: "an object with columns and data",
    });
  }
  const other = Object.keys(value).find((key) => !SPLIT_KEYS.includes(key));
  if (other !== undefined) {
    throw requestInvalid(`dataframe_split has a member ${quoted(other)}`, {
      where: "dataframe_split",
      accepted: SPLIT_KEYS.join(", "),
    });
  }
  const data = member(value, "data");
  if (!Array.isArray(data)) {
    throw requestInvalid(`dataframe_split.data is ${described(data)}`, {
      where: "dataframe_split.data",
      accepted: "an array of rows",
    });
  }
  const columns = splitColumns(member(value, "columns"));
  const first: unknown = data[0];
  const width = columns?.length ?? (Array.isArray(first) ? first.length : 0);
  const rows: (readonly unknown[])[] = [];
  for (let index = 0; index < data.length; index += 1) {
    const row: unknown = data[index];
    if (!Array.isArray(row) || row.length !== width) {
      const found = Array.isArray(row) ? `an array of ${row.length}` : described(row);
      const where = `dataframe_split.data[${index}]`;
      throw requestInvalid(`${where} is ${found}`, { where, accepted: `an array of ${width}` });
    }
    rows.push(row);
  }
  return rowsFrame(columns, rows, width);
}

/** Names that JavaScript moves to the front of an object, whatever their place in the text. */
const INDEX_NAME = /^(?:0|[1-9]\d*)$/;
const STRINGS = /"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?/g;
const MARK = "\u0001";

/** The records with every name marked, so that none is an index and all keep their place. */
function markedRecords(text: string, reading: JsonReading): unknown {
  const marked = text.replace(STRINGS, (all: string, name: string, colon?: string) =>
    colon === undefined ? all : `"\\u0001${name}"${colon}`,
  );
  const root = parseJson(marked, reading);
  return isJsonObject(root) ? member(root, `${MARK}dataframe_records`) : undefined;
}

function checkedRecords(value: unknown): readonly JsonObject[] {
  if (!Array.isArray(value)) {
    throw requestInvalid(`dataframe_records is ${described(value)}`, {
      where: "dataframe_records",
      accepted: "an array of objects",
    });
  }
  for (let index = 0; index < value.length; index += 1) {
    if (!isJsonObject(value[index])) {
      const where = `dataframe_records[${index}]`;
      throw requestInvalid(`${where} is ${described(value[index])}`, {
        where,
        accepted: "an object",
      });
    }
  }
  return value;
}

function columnsOf(records: readonly JsonObject[]): readonly string[] {
  const columns = new Set<string>();
  for (const record of records) {
    for (const name of Object.keys(record)) columns.add(name);
  }
  return [...columns];
}

/**
 * The frame of `[{"column": value, …}, …]`: columns in the order in which their names first appear,
 * a name that a record lacks is an empty cell, both as in pandas.
 * @throws `request.invalid`, also for more cells than the body has bytes.
 */
export function recordsFrame(value: unknown, text: string, reading: JsonReading): Frame {
  let records = checkedRecords(value);
  let columns = columnsOf(records);
  let names = columns;
  if (columns.some((name) => INDEX_NAME.test(name))) {
    records = checkedRecords(markedRecords(text, reading));
    columns = columnsOf(records);
    names = columns.map((name) => name.slice(MARK.length));
  }
  if (records.length * columns.length > text.length) {
    throw requestInvalid(
      `dataframe_records has ${records.length} rows of ${columns.length} columns, more cells than its text has characters`,
      { where: "dataframe_records", accepted: "records with the same names" },
    );
  }
  const rows = records.map((record) =>
    columns.map((name) => (Object.hasOwn(record, name) ? record[name] : null)),
  );
  return rowsFrame(names, rows, columns.length);
}
