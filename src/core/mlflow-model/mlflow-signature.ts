import * as z from "zod";

import type { DType } from "../tensor/index.ts";
import type { Signature, TensorSpec } from "../version/index.ts";

/*
 * The two forms of a column in MLmodel's `signature`, whose values are JSON texts:
 * mlflow/types/schema.py, ColSpec and TensorSpec.
 */
const tensorColumn = z.object({
  type: z.literal("tensor"),
  name: z.string().optional(),
  "tensor-spec": z.object({ dtype: z.string(), shape: z.array(z.number().int().min(-1)) }),
});
const plainColumn = z.looseObject({
  type: z.string(),
  name: z.string().optional(),
  required: z.boolean().optional(),
});

/** Schema of a list of columns. */
export const mlflowColumnsSchema = z.array(z.union([tensorColumn, plainColumn]));

type Column = z.infer<typeof mlflowColumnsSchema>[number];

/** A signature in MLflow's own words; null where the model says nothing. */
export interface MlflowSignature {
  readonly inputs: readonly Column[] | null;
  readonly outputs: readonly Column[] | null;
  /** Parameters that a request may set beside its inputs. */
  readonly params: readonly unknown[] | null;
}

/** Schema of the list of parameters: what they are called is for the model's own server to know. */
export const mlflowParamsSchema = z.array(z.unknown());

const COLUMN_TYPES: Readonly<Record<string, DType>> = {
  boolean: "BOOL",
  integer: "INT32",
  long: "INT64",
  float: "FP32",
  double: "FP64",
  string: "BYTES",
  binary: "BYTES",
  datetime: "BYTES",
};

/** NumPy's names of element types. */
const TENSOR_TYPES: Readonly<Record<string, DType>> = {
  bool: "BOOL",
  uint8: "UINT8",
  uint16: "UINT16",
  uint32: "UINT32",
  uint64: "UINT64",
  int8: "INT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  float16: "FP16",
  float32: "FP32",
  float64: "FP64",
  str: "BYTES",
  object: "BYTES",
};

function specOf(column: Column, nameless: string): TensorSpec | null {
  const name = column.name ?? nameless;
  const tensor = tensorColumn.safeParse(column);
  if (tensor.success) {
    const { dtype, shape } = tensor.data["tensor-spec"];
    const own = TENSOR_TYPES[dtype] ?? (/^<?U\d*$/.test(dtype) ? "BYTES" : undefined);
    return own === undefined ? null : { name, kind: "tensor", dtype: own, shape };
  }
  const dtype = COLUMN_TYPES[column.type];
  const isOptional = "required" in column && column.required === false;
  if (dtype === undefined || isOptional) return null;
  return { name, kind: "tensor", dtype, shape: [-1] };
}

/** What the outputs of a model are called that has no names for them. */
const NAMELESS_OUTPUT = "predictions";

/** Several without names are told apart by their place alone, which no request of ours says. */
function areNamed(columns: readonly Column[]): boolean {
  return columns.length === 1 || columns.every(({ name }) => name !== undefined);
}

function specsOf(columns: readonly Column[] | null, nameless: string): TensorSpec[] | null {
  if (columns === null || columns.length === 0 || !areNamed(columns)) return null;
  const specs = columns.map((column) => specOf(column, nameless));
  const known = specs.filter((spec) => spec !== null);
  return known.length === specs.length ? known : null;
}

/**
 * What MLflow's signature says, in our words: one tensor per column, one value per row. Null where it
 * cannot be said: there are no inputs or no outputs, a column may be left out, has no name beside others, or
 * is an object, a map or a list, or requests may set parameters.
 */
export function signatureFromMlflow({
  inputs: taken,
  outputs: given,
  params,
}: MlflowSignature): Signature | null {
  if (params !== null && params.length > 0) return null;
  const inputs = specsOf(taken, "input");
  const outputs = specsOf(given, NAMELESS_OUTPUT);
  if (inputs === null || outputs === null) return null;
  const [first, ...rest] = outputs;
  // MLflow answers with the values alone, as scikit-learn gives them.
  const isNameless = first !== undefined && rest.length === 0 && given?.[0]?.name === undefined;
  return { inputs, outputs: isNameless ? [{ ...first, nameless: true }] : outputs };
}

/** Whether the model takes arrays: MLflow makes them of a table that is sent (`_enforce_tensor_schema`). */
export function takesArrays({ inputs }: MlflowSignature): boolean {
  return inputs !== null && inputs.length > 0 && inputs.every(({ type }) => type === "tensor");
}

/** The columns of the table that the model takes, in their order; null where it takes none, or they have no names. */
export function columnsFromMlflow({ inputs }: MlflowSignature): readonly string[] | null {
  const names = (inputs ?? []).flatMap((column) =>
    column.type === "tensor" || column.name === undefined ? [] : [column.name],
  );
  return names.length > 0 && names.length === inputs?.length ? names : null;
}
