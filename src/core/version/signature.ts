import type { DType } from "../tensor/index.ts";

/** One input or output: its element type and shape, -1 where an axis may have any length. */
export interface TensorSpec {
  readonly name: string;
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** What the places along its last axis are called, where somebody said: a table's columns go by them. */
  readonly columns?: readonly string[] | undefined;
  /** Of an input: a table that is sent becomes one array, and the answer has its outputs by name (MLflow's tensor signature). */
  readonly array?: boolean | undefined;
  /** Of the only output: the name is ours, its own server answers with the values alone. */
  readonly nameless?: boolean | undefined;
}

/** A sequence of maps from class label to score, one per row (scikit-learn's ZipMap). */
export interface MapsSpec {
  readonly name: string;
  readonly kind: "maps";
  readonly keyDtype: "INT64" | "BYTES";
  readonly valueDtype: "FP32" | "FP64";
}

/** What an output is. */
export type OutputSpec = TensorSpec | MapsSpec;

/** What a version takes and gives. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly OutputSpec[];
}

function shapeText(shape: readonly number[]): string {
  return `[${shape.map((axis) => (axis === -1 ? "any" : String(axis))).join(", ")}]`;
}

/** A spec for people: `amount FP32 [any, 4]`. */
export function describeSpec(spec: OutputSpec): string {
  return spec.kind === "tensor"
    ? `${spec.name} ${spec.dtype} ${shapeText(spec.shape)}`
    : `${spec.name} sequence of maps (${spec.keyDtype} to ${spec.valueDtype})`;
}

function shapeAccepts(taker: readonly number[], promised: readonly number[]): boolean {
  return (
    taker.length === promised.length &&
    taker.every((axis, index) => axis === -1 || axis === promised[index])
  );
}

/** A column that stands where another one is promised is taken for it, silently. */
function columnDifference(own: TensorSpec, promised: TensorSpec): string | null {
  const { columns } = own;
  const before = promised.columns;
  if (columns === undefined || before === undefined) return null;
  const at = before.findIndex((name, index) => columns[index] !== name);
  if (at < 0 && columns.length === before.length) return null;
  const [now = "gone", was = "not there"] =
    at < 0 ? [columns[before.length]] : [columns[at], before[at]];
  return `input ${own.name}: column ${at < 0 ? before.length + 1 : at + 1} became ${now} (was ${was})`;
}

function inputDifferences(taker: Signature, contract: Signature): string[] {
  const differences: string[] = [];
  for (const promised of contract.inputs) {
    const own = taker.inputs.find((input) => input.name === promised.name);
    if (own === undefined) differences.push(`input ${promised.name} is gone`);
    else if (own.dtype !== promised.dtype)
      differences.push(`input ${promised.name} became ${own.dtype} (was ${promised.dtype})`);
    else if (!shapeAccepts(own.shape, promised.shape))
      differences.push(
        `input ${promised.name} has shape ${shapeText(own.shape)} (was ${shapeText(promised.shape)})`,
      );
    else {
      const column = columnDifference(own, promised);
      if (column !== null) differences.push(column);
    }
  }
  for (const own of taker.inputs) {
    if (!contract.inputs.some((input) => input.name === own.name))
      differences.push(`input ${own.name} is new`);
  }
  return differences;
}

function isNameless(output: TensorSpec): boolean {
  return output.nameless === true;
}

function outputDifferences(giver: Signature, contract: Signature): string[] {
  const differences: string[] = [];
  for (const promised of contract.outputs) {
    const own = giver.outputs.find((output) => output.name === promised.name);
    if (own === undefined) differences.push(`output ${promised.name} is gone`);
    else if (own.kind !== promised.kind)
      differences.push(`output ${promised.name} changed its kind`);
    else if (own.kind === "tensor" && promised.kind === "tensor") {
      if (isNameless(own) !== isNameless(promised))
        differences.push(
          `output ${promised.name} ${isNameless(own) ? "lost its name" : "got a name"}: MLflow's callers are answered in another form`,
        );
      if (own.dtype !== promised.dtype)
        differences.push(`output ${promised.name} became ${own.dtype} (was ${promised.dtype})`);
      else if (!shapeAccepts(promised.shape, own.shape) && !shapeAccepts(own.shape, promised.shape))
        differences.push(
          `output ${promised.name} has shape ${shapeText(own.shape)} (was ${shapeText(promised.shape)})`,
        );
    }
  }
  return differences;
}

/**
 * What keeps a version with `signature` from keeping `contract`'s promise: empty when it takes every
 * request the contract accepts and answers with the promised outputs.
 */
export function contractDifferences(signature: Signature, contract: Signature): readonly string[] {
  return [...inputDifferences(signature, contract), ...outputDifferences(signature, contract)];
}
