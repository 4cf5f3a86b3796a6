import {
  isMapSequence,
  type OutputValue,
  type Tensor,
  type TensorData,
} from "../../core/tensor/index.ts";
import type { TensorParts } from "./tensor-frame.ts";

/** Rows of a request: the length of axis 0 that all its inputs share, or null where they do not. */
export function rowsOf(inputs: readonly Tensor[]): number | null {
  const rows = inputs[0]?.shape[0];
  return rows !== undefined && inputs.every((input) => input.shape[0] === rows) ? rows : null;
}

/** Equal for requests that may share a run: same inputs, dtypes and shapes beyond axis 0. */
export function batchKey(inputs: readonly Tensor[]): string {
  let key = "";
  for (const { name, dtype, shape } of inputs) {
    key += `${name}\n${dtype}`;
    for (let axis = 1; axis < shape.length; axis += 1) key += `,${shape[axis]}`;
    key += "\n";
  }
  return key;
}

type Form = Pick<Tensor, "name" | "dtype" | "shape">;

function isAlike(one: Form, other: Form): boolean {
  const { length } = one.shape;
  if (one.name !== other.name || one.dtype !== other.dtype || length !== other.shape.length)
    return false;
  for (let axis = 1; axis < length; axis += 1)
    if (one.shape[axis] !== other.shape[axis]) return false;
  return true;
}

/** Gives `batchKey`s: the same text again for inputs like those before, which most are. */
export class BatchKeys {
  #forms: readonly Form[] = [];
  #key = "";

  of(inputs: readonly Tensor[]): string {
    if (!this.#fits(inputs)) {
      this.#key = batchKey(inputs);
      this.#forms = inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    }
    return this.#key;
  }

  #fits(inputs: readonly Tensor[]): boolean {
    const forms = this.#forms;
    if (inputs.length !== forms.length) return false;
    for (let index = 0; index < inputs.length; index += 1) {
      const input = inputs[index];
      const form = forms[index];
      if (input === undefined || form === undefined || !isAlike(input, form)) return false;
    }
    return true;
  }
}

/** The inputs of requests with one `batchKey` behind each other along axis 0, without copying. */
export function joinInputs(requests: readonly (readonly Tensor[])[], rows: number): TensorParts[] {
  const [first = []] = requests;
  return first.map(({ name, dtype, shape }, index) => ({
    name,
    dtype,
    shape: [rows, ...shape.slice(1)],
    parts: requests.map((inputs) => inputs[index]?.data ?? []),
  }));
}

function sliceData(data: TensorData, start: number, end: number): TensorData {
  return Array.isArray(data)
    ? data.slice(start, end)
    : (data as Exclude<TensorData, readonly string[]>).subarray(start, end);
}

/** Rows `start` to `end` of a tensor along axis 0, in place where it is not text. */
export function sliceTensor(tensor: Tensor, start: number, end: number): Tensor {
  const [rows = 0, ...rest] = tensor.shape;
  const width = rows === 0 ? 0 : tensor.data.length / rows;
  return {
    name: tensor.name,
    dtype: tensor.dtype,
    shape: [end - start, ...rest],
    data: sliceData(tensor.data, start * width, end * width),
  };
}

function rowsOfOutput(output: OutputValue): number | undefined {
  return isMapSequence(output) ? output.rows : output.shape[0];
}

function sliceOutput(output: OutputValue, start: number, end: number): OutputValue {
  if (!isMapSequence(output)) return sliceTensor(output, start, end);
  const width = output.keys.length;
  return {
    ...output,
    rows: end - start,
    values: output.values.subarray(start * width, end * width),
  };
}

/**
 * The outputs of a shared run for each request, whose rows are given in order; null when an output
 * does not have one row for each.
 */
export function splitOutputs(
  outputs: readonly OutputValue[],
  rows: readonly number[],
): OutputValue[][] | null {
  let total = 0;
  for (const count of rows) total += count;
  for (const output of outputs) if (rowsOfOutput(output) !== total) return null;
  let start = 0;
  return rows.map((count) => {
    const from = start;
    start += count;
    return outputs.map((output) => sliceOutput(output, from, start));
  });
}
