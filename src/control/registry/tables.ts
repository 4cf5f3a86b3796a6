import type { Signature } from "../../core/version/index.ts";

/** What somebody said of the tables that a model is sent. */
export interface Tables {
  /** Names of its only input's columns. */
  readonly columns: readonly string[] | null;
  /** It takes them as arrays. */
  readonly arrays: boolean;
}

/** The signature with what is said of the tables that are sent for its inputs. */
export function withTables(signature: Signature, { columns, arrays }: Tables): Signature {
  const named = columns === null ? signature : withColumns(signature, columns);
  return arrays
    ? { ...named, inputs: named.inputs.map((input) => ({ ...input, array: true })) }
    : named;
}

/** One that takes several inputs, or a table of another width, is left as it is: each name would stand for something else. */
function withColumns(signature: Signature, columns: readonly string[]): Signature {
  const [only, second] = signature.inputs;
  if (only === undefined || second !== undefined) return signature;
  const width = only.shape.length === 2 ? only.shape[1] : undefined;
  const fits = width === -1 || width === columns.length;
  if (!fits || new Set(columns).size < columns.length) return signature;
  return { ...signature, inputs: [{ ...only, columns }] };
}
