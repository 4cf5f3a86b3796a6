import type { ReferenceFile } from "../../core/api/index.ts";
import { csvRows, type CsvRow } from "../../core/csv/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { tensorFromWire, type DType } from "../../core/tensor/index.ts";
import {
  LEAST_REFERENCE_ROWS,
  summariseInputs,
  type ReferenceSet,
  type Signature,
} from "../../core/version/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import { columnsOf, exampleToInputs } from "./input-example.ts";

/** A set that says what inputs look like need not be all of the training data, bytes. */
const MOST_BYTES = 64 * 1024 * 1024;

const TRUTHS: ReadonlySet<string> = new Set(["true", "1"]);

function refused(what: string, hint: string, cause?: unknown): LastgoodError {
  return new LastgoodError("input.invalid", `the reference set does not fit: ${what}`, {
    hint,
    cause,
  });
}

/** A cell of a table as JSON would have it; what is no such value is refused where inputs are checked. */
function cellOf(dtype: DType, cell: string): unknown {
  if (dtype === "BYTES") return cell;
  const text = cell.trim();
  if (dtype === "BOOL") return TRUTHS.has(text.toLowerCase());
  if (text === "" || text.toLowerCase() === "nan") return null;
  if (dtype === "INT64" || dtype === "UINT64") return text;
  const number = Number(text);
  return Number.isNaN(number) ? cell : number;
}

const mistake = (line: number, why: string): LastgoodError =>
  refused(`line ${line}: ${why}`, "a first line with the columns' names, then one row a line");

/** Columns that are no inputs, such as the label, are left out where inputs are told by name. */
function tableOf(text: string, signature: Signature): unknown {
  let columns: readonly string[] | null = null;
  const rows: CsvRow[] = [];
  for (const row of csvRows(text, mistake)) {
    if (columns === null) columns = row.cells.map((cell) => cell.trim());
    else if (row.cells.length === columns.length) rows.push(row);
    else throw mistake(row.line, `has ${row.cells.length} cells, not ${columns.length}`);
  }
  if (columns === null) throw mistake(1, "there is no first line");
  const { inputs } = signature;
  const only = inputs.length === 1 ? inputs[0] : undefined;
  const isWide = only !== undefined && only.shape.length === 2;
  const taken = columns.flatMap((column, at) => {
    const own = isWide ? only : inputs.find(({ name }) => name === column);
    return own === undefined ? [] : [{ column, at, dtype: own.dtype }];
  });
  return {
    columns: taken.map(({ column }) => column),
    data: rows.map(({ cells }) => taken.map(({ at, dtype }) => cellOf(dtype, cells[at] ?? ""))),
  };
}

function parsed(bytes: Uint8Array, format: ReferenceFile["format"], signature: Signature): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw refused("it is not UTF-8 text", "save it as UTF-8", cause);
  }
  if (format === "csv") return tableOf(text, signature);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw refused("it is not JSON", "give rows as JSON in a form of input examples, or CSV", cause);
  }
}

/** Rows are as many as were given, whatever the model takes at a time. */
function anyRows(signature: Signature): Signature {
  return {
    ...signature,
    inputs: signature.inputs.map((spec) => ({ ...spec, shape: [-1, ...spec.shape.slice(1)] })),
  };
}

/**
 * What the inputs in an uploaded file look like.
 * @throws `artifact.missing`, `artifact.corrupt`; `input.invalid` where it does not fit the signature or
 * has too few rows; `body.too-large`.
 */
export async function readReferenceSet(
  artifacts: Artifacts,
  { digest, format }: ReferenceFile,
  signature: Signature,
): Promise<ReferenceSet> {
  const size = await artifacts.size(digest);
  if (size === null)
    throw new LastgoodError(
      "artifact.missing",
      `the reference set was not uploaded: there are no bytes ${digest}`,
      { hint: "upload the file first, then register it again", details: { digest } },
    );
  if (size > MOST_BYTES)
    throw new LastgoodError(
      "body.too-large",
      `the reference set is longer than ${MOST_BYTES / 1024 / 1024} MiB`,
      { hint: "a random sample of its rows says as much" },
    );
  if (signature.inputs.length === 0)
    throw refused("the version's inputs are not known", "register it with a signature");
  const content = parsed(await artifacts.read(digest), format, signature);
  const inputs = exampleToInputs(content, anyRows(signature)).map(tensorFromWire);
  const set = summariseInputs(digest, inputs, columnsOf(content));
  if (set.rows < LEAST_REFERENCE_ROWS)
    throw refused(
      `it has ${set.rows} rows, at least ${LEAST_REFERENCE_ROWS} are needed to tell what inputs look like`,
      "give more rows; the more there are, the smaller the shifts that can be told",
    );
  return set;
}
