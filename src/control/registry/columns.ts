import type { Signature } from "../../core/version/index.ts";

/**
 * The signature with the names of its only input's columns. One that takes several inputs, or a table of
 * another width, is left as it is: each name would stand for something else.
 */
export function withColumns(
  signature: Signature,
  columns: readonly string[] | null | undefined,
): Signature {
  const [only, second] = signature.inputs;
  if (columns === null || columns === undefined || only === undefined || second !== undefined)
    return signature;
  const width = only.shape.length === 2 ? only.shape[1] : undefined;
  const fits = width === -1 || width === columns.length;
  if (!fits || new Set(columns).size < columns.length) return signature;
  return { ...signature, inputs: [{ ...only, columns }] };
}
