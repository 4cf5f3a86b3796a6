import { z } from "zod";

import { elementCount, type WireTensor } from "../../core/tensor/index.ts";
import { describeSpec, type Signature, type TensorSpec } from "../../core/version/index.ts";
import { tensorFromNested, unfit } from "./nested.ts";

const FORMS =
  'accepted are {"inputs": {"name": [[…]]}}, an Open Inference Protocol request, {"dataframe_split": {"columns": […], "data": [[…]]}}, {"dataframe_records": […]}, {"instances": […]}, and for a model with one input a bare list of rows';

const objectSchema = z.record(z.string(), z.unknown());
const oipInputSchema = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data: z.array(z.unknown()),
});
const splitSchema = z.object({
  columns: z.array(z.union([z.string(), z.number()])).optional(),
  data: z.array(z.array(z.unknown())),
  index: z.array(z.unknown()).optional(),
});

/** A table: rows of cells, and the columns' names where they have some. */
interface Frame {
  readonly columns: readonly string[] | null;
  readonly rows: readonly (readonly unknown[])[];
  readonly where: string;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return objectSchema.safeParse(value).success;
}

function isRecords(value: unknown): value is readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) && value.length > 0 && value.every(isObject);
}

function namesOf(signature: Signature): string {
  return signature.inputs.map(describeSpec).join("; ");
}

function onlyInput(signature: Signature, where: string): TensorSpec {
  const [input, second] = signature.inputs;
  if (input !== undefined && second === undefined) return input;
  throw unfit(where, `names no inputs, and the model takes several: ${namesOf(signature)}`, FORMS);
}

function fromNames(
  named: Readonly<Record<string, unknown>>,
  signature: Signature,
  where: string,
): WireTensor[] {
  for (const name of Object.keys(named)) {
    if (!signature.inputs.some((input) => input.name === name))
      throw unfit(
        `${where}.${name}`,
        `is no input of the model, which takes ${namesOf(signature)}`,
      );
  }
  return signature.inputs.map((spec) => {
    if (!Object.hasOwn(named, spec.name))
      throw unfit(`${where}.${spec.name}`, `is missing; the model takes ${namesOf(signature)}`);
    return tensorFromNested(spec, named[spec.name], `${where}.${spec.name}`);
  });
}

/** Lays flat elements out in the shape that was said, so that one check serves both forms. */
function nest(data: readonly unknown[], shape: readonly number[]): unknown {
  const [axis, ...inner] = shape;
  if (axis === undefined) return data[0];
  const step = elementCount(inner);
  return Array.from({ length: axis }, (_, index) =>
    nest(data.slice(index * step, (index + 1) * step), inner),
  );
}

function fromOip(inputs: readonly unknown[], signature: Signature): WireTensor[] {
  const named: Record<string, unknown> = {};
  for (const [index, input] of inputs.entries()) {
    const where = `inputs[${index}]`;
    const parsed = oipInputSchema.safeParse(input);
    if (!parsed.success) throw unfit(where, "needs name, datatype, shape and data", FORMS);
    const { name, datatype, shape, data } = parsed.data;
    const spec = signature.inputs.find((candidate) => candidate.name === name);
    if (spec !== undefined && spec.dtype !== datatype)
      throw unfit(`${where}.datatype`, `is ${datatype}, the model takes ${describeSpec(spec)}`);
    const flat = data.flat(shape.length) as readonly unknown[];
    if (shape.length > 16 || flat.length !== elementCount(shape))
      throw unfit(
        `${where}.data`,
        `has ${flat.length} elements, its shape [${shape.join(", ")}] does not`,
      );
    named[name] = nest(flat, shape);
  }
  return fromNames(named, signature, "inputs");
}

/** The rows with their cells where the input has the column of that name. */
function inOrder({ columns, rows, where }: Frame, input: TensorSpec): Frame["rows"] {
  if (columns === null || input.columns === undefined) return rows;
  const order = input.columns.map((name) => columns.indexOf(name));
  const missing = input.columns.find((_, index) => order[index] === -1);
  if (missing !== undefined) throw unfit(where, `has no column ${missing}`);
  return rows.map((row) => order.map((at) => row[at]));
}

/** One input takes the whole table; several take one column each, by name. */
function fromFrame(frame: Frame, signature: Signature): WireTensor[] {
  const [first, second] = signature.inputs;
  const columns = frame.columns ?? [];
  if (first !== undefined && second === undefined && first.shape.length === 2) {
    return [tensorFromNested(first, inOrder(frame, first), frame.where)];
  }
  for (const column of columns) {
    if (!signature.inputs.some((input) => input.name === column))
      throw unfit(
        `${frame.where}.${column}`,
        `is no input of the model, which takes ${namesOf(signature)}`,
      );
  }
  return signature.inputs.map((spec) => {
    const column = columns.indexOf(spec.name);
    if (column < 0)
      throw unfit(frame.where, `has no column ${spec.name}; the model takes ${namesOf(signature)}`);
    const cells = frame.rows.map((row) => row[column]);
    const wrapped = spec.shape.length === 2 && cells.every((cell) => !Array.isArray(cell));
    const values = wrapped ? cells.map((cell) => [cell]) : cells;
    return tensorFromNested(spec, values, `${frame.where}.${spec.name}`);
  });
}

function frameOfSplit(value: unknown, where: string): Frame {
  const parsed = splitSchema.safeParse(value);
  if (!parsed.success) throw unfit(where, 'needs "data": a list of rows', FORMS);
  const columns = parsed.data.columns?.map(String) ?? null;
  const odd = parsed.data.data.findIndex(
    (row) => columns !== null && row.length !== columns.length,
  );
  if (columns !== null && odd >= 0)
    throw unfit(`${where}.data[${odd}]`, `has not ${columns.length} cells, one for each column`);
  return { columns, rows: parsed.data.data, where };
}

function frameOfRecords(
  records: readonly Readonly<Record<string, unknown>>[],
  where: string,
): Frame {
  const columns = Object.keys(records[0] ?? {});
  const rows = records.map((record, index) => {
    const missing = columns.find((column) => !Object.hasOwn(record, column));
    if (missing !== undefined) throw unfit(`${where}[${index}]`, `has no ${missing}`);
    const extra = Object.keys(record).find((column) => !columns.includes(column));
    if (extra !== undefined) throw unfit(`${where}[${index}].${extra}`, "is not in the first row");
    return columns.map((column) => record[column]);
  });
  return { columns, rows, where };
}

function fromList(list: unknown, signature: Signature, where: string): WireTensor[] {
  if (!isRecords(list)) return [tensorFromNested(onlyInput(signature, where), list, where)];
  const single = signature.inputs.length === 1 ? signature.inputs[0] : undefined;
  const keys = Object.keys(list[0] ?? {});
  if (single !== undefined && keys.length === 1 && keys[0] === single.name) {
    const cells = list.map((row) => row[single.name]);
    if (cells.some(Array.isArray))
      return [tensorFromNested(single, cells, `${where}.${single.name}`)];
  }
  return fromFrame(frameOfRecords(list, where), signature);
}

/** Names of the columns where an example is a table; null where it is none, or they have none. */
export function columnsOf(example: unknown): readonly string[] | null {
  const list = isObject(example) ? (example["dataframe_records"] ?? example["instances"]) : example;
  if (isRecords(list)) return Object.keys(list[0] ?? {});
  if (!isObject(example)) return null;
  const split = splitSchema.safeParse(example["dataframe_split"] ?? example);
  return split.success ? (split.data.columns?.map(String) ?? null) : null;
}

/**
 * The inputs that an input example stands for, in any of the forms people have one in: named
 * inputs, an Open Inference Protocol v2 request, MLflow scoring (`dataframe_split`,
 * `dataframe_records`, `instances`, `inputs`), or a bare list for a model with one input.
 * @throws `input.invalid` that says where it does not fit the signature.
 */
export function exampleToInputs(example: unknown, signature: Signature): WireTensor[] {
  if (Array.isArray(example)) return fromList(example, signature, "example");
  if (!isObject(example)) throw unfit("example", "is neither a list nor an object", FORMS);
  const { inputs } = example as { inputs?: unknown };
  if (
    Array.isArray(inputs) &&
    inputs.length > 0 &&
    inputs.every((input) => isObject(input) && "datatype" in input)
  )
    return fromOip(inputs, signature);
  if (isObject(inputs)) return fromNames(inputs, signature, "inputs");
  if (inputs !== undefined)
    return [tensorFromNested(onlyInput(signature, "inputs"), inputs, "inputs")];
  if ("dataframe_split" in example)
    return fromFrame(frameOfSplit(example["dataframe_split"], "dataframe_split"), signature);
  for (const form of ["dataframe_records", "instances"] as const) {
    if (form in example) return fromList(example[form], signature, form);
  }
  if (
    "data" in example &&
    Object.keys(example).every((key) => ["columns", "data", "index"].includes(key))
  )
    return fromFrame(frameOfSplit(example, "example"), signature);
  if (Object.keys(example).some((key) => signature.inputs.some((input) => input.name === key)))
    return fromNames(example, signature, "example");
  throw unfit("example", "has none of the accepted forms", FORMS);
}
