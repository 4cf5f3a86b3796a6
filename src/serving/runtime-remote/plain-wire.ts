import { z } from "zod";

import { elementCount, type Tensor } from "../../core/tensor/index.ts";
import type { OutputSpec, Signature, TensorSpec } from "../../core/version/index.ts";
import { elementText, isJsonObject, nestedText } from "../protocol/index.ts";
import type { MlflowForm } from "../runtime/index.ts";
import { dataOf, flat, invalid, parseText, readJson } from "./wire-json.ts";

/*
 * Servers that describe nothing of their model: what is asked and answered is read by the version's
 * signature. MLflow's scoring server
 * (https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification)
 * and plain JSON as FastAPI and BentoML services take it.
 */

/** Whether an input is a column: one value for each row. */
function isColumn({ shape }: TensorSpec): boolean {
  return shape.length === 1 || (shape.length === 2 && shape[1] === 1);
}

/** The forms that a model of the signature may take, the likeliest first. */
export function mlflowForms({ inputs }: Signature): readonly MlflowForm[] {
  const single = inputs.length === 1;
  if (inputs.every(isColumn)) return single ? ["frame", "named", "tensor"] : ["frame", "named"];
  return single ? ["tensor", "named"] : ["named"];
}

function namedText(inputs: readonly Tensor[]): string {
  return `{${inputs.map((each) => `${JSON.stringify(each.name)}:${nestedText(each)}`).join(",")}}`;
}

function frameText(inputs: readonly Tensor[]): string {
  const rows = inputs[0]?.shape[0] ?? 0;
  const columns = JSON.stringify(inputs.map((input) => input.name));
  const lines = Array.from(
    { length: rows },
    (_, row) => `[${inputs.map((input) => elementText(input.dtype, input.data, row)).join(",")}]`,
  );
  return `{"columns":${columns},"data":[${lines.join(",")}]}`;
}

/** The JSON of a scoring request. */
export function writeScoring(inputs: readonly Tensor[], form: MlflowForm): string {
  const [only] = inputs;
  if (form === "frame") return `{"dataframe_split":${frameText(inputs)}}`;
  if (form === "tensor" && only !== undefined) return `{"inputs":${nestedText(only)}}`;
  return `{"inputs":${namedText(inputs)}}`;
}

/** The JSON of a plain request: an object with each input by its name. */
export function writePlain(inputs: readonly Tensor[]): string {
  return namedText(inputs);
}

/** Length of each axis of nested lists, by their first members. */
function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let part = value; Array.isArray(part); part = (part as unknown[])[0])
    shape.push(part.length);
  return shape;
}

/** The answer's own shape, or the promised one where only the number of axes differs. */
function fittingShape(own: readonly number[], { shape }: TensorSpec, count: number): number[] {
  if (own.length === shape.length || shape.slice(1).includes(-1)) return [...own];
  const perRow = elementCount(shape.slice(1));
  if (shape.length === 0 || perRow === 0 || count % perRow !== 0) return [...own];
  return [count / perRow, ...shape.slice(1)];
}

function tensorOf(spec: OutputSpec, value: unknown): Tensor {
  if (spec.kind === "maps")
    throw invalid("answer", `output ${spec.name} is promised as maps, which JSON lists are not`);
  const values = Array.isArray(value) ? flat(value) : [value];
  const own = Array.isArray(value) ? shapeOf(value) : [];
  if (elementCount(own) !== values.length)
    throw invalid("answer", `the lists of output ${spec.name} differ in length`);
  const shape = fittingShape(own, spec, values.length);
  const { name, dtype } = spec;
  return { name, dtype, shape, data: dataOf(name, dtype, values) };
}

/** What the answer holds for one output: a member, a column of its records, or all of it. */
function partFor(spec: OutputSpec, answer: unknown, isOnly: boolean): unknown {
  if (isJsonObject(answer)) {
    const keys = Object.keys(answer);
    if (Object.hasOwn(answer, spec.name)) return answer[spec.name];
    if (isOnly && keys.length === 1) return answer[keys[0] ?? ""];
    throw invalid("answer", `it has no ${spec.name}, only ${keys.join(", ")}`);
  }
  if (Array.isArray(answer) && answer.length > 0 && answer.every(isJsonObject))
    return answer.map((row) => partFor(spec, row, isOnly));
  if (isOnly) return answer;
  throw invalid("answer", `it does not say which of it is output ${spec.name}`);
}

function outputsOf(answer: unknown, { outputs }: Signature): Tensor[] {
  return outputs.map((spec) => tensorOf(spec, partFor(spec, answer, outputs.length === 1)));
}

const scoringSchema = z.object({ predictions: z.unknown() });

/** The outputs of a scoring answer. @throws `runtime.failed` when they are not the signature's. */
export function readScoring(text: string, signature: Signature): Tensor[] {
  const { predictions } = readJson("answer", scoringSchema, text);
  return outputsOf(predictions, signature);
}

/** The outputs of a plain answer. @throws `runtime.failed` when they are not the signature's. */
export function readPlain(text: string, signature: Signature): Tensor[] {
  return outputsOf(parseText("answer", text), signature);
}
