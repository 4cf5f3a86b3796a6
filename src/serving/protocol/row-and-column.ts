import { elementCount, type Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import { newElements } from "./elements.ts";
import { writeNested } from "./nested.ts";
import { described, inputText, isJsonObject, member, quoted, requestInvalid } from "./refuse.ts";
import { acceptedCount, shapeText } from "./shape.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** What tensors are read for. */
export interface TensorReading {
  readonly contract: Signature;
  /** Length of the body, which bounds what is allocated. */
  readonly bodyBytes: number;
  /** What to send instead where an object's names are no inputs of a model with one input. */
  readonly namedColumns?: string;
}

/** Lengths along the first elements; one axis more than the contract has is enough to refuse it. */
function nestedShape(value: unknown, most: number): number[] {
  const shape: number[] = [];
  let part = value;
  while (Array.isArray(part) && shape.length <= most) {
    shape.push(part.length);
    part = part[0];
  }
  return shape;
}

function readTensor(spec: TensorSpec, value: unknown, bodyBytes: number): Tensor {
  const { name, dtype } = spec;
  if (!Array.isArray(value) && spec.shape.length > 0) {
    const where = inputText(name);
    throw requestInvalid(`${where} is ${described(value)}`, {
      where,
      accepted: `nested arrays of the shape ${shapeText(spec.shape)}`,
    });
  }
  const given = nestedShape(value, spec.shape.length);
  // Unlike MLflow, [rows] is taken where the model wants [rows, 1]: there is one way to read it.
  const narrow = given.length === spec.shape.length - 1 && spec.shape.at(-1) === 1;
  const shape = narrow ? [...given, 1] : given;
  acceptedCount(spec, shape, bodyBytes);
  const out = newElements(dtype, elementCount(given));
  writeNested({ dtype, out, shape: given, missing: "nan", where: () => inputText(name) }, value);
  return { name, dtype, shape, data: out };
}

function unknownInput(name: string, reading: TensorReading, where: string): Error {
  const { contract, namedColumns } = reading;
  const isSingle = contract.inputs.length === 1;
  return requestInvalid(`there is no input ${quoted(name)}`, {
    where,
    accepted: contract.inputs.map((input) => input.name).join(", "),
    ...(isSingle && namedColumns !== undefined ? { hint: namedColumns } : {}),
  });
}

function feeds(values: JsonObject, reading: TensorReading): readonly Tensor[] {
  const { contract, bodyBytes } = reading;
  for (const name of Object.keys(values)) {
    if (!contract.inputs.some((input) => input.name === name)) {
      throw unknownInput(name, reading, "inputs");
    }
  }
  return contract.inputs.map((spec) => {
    const value = member(values, spec.name);
    if (value !== undefined) return readTensor(spec, value, bodyBytes);
    throw requestInvalid(`input ${quoted(spec.name)} is missing`, {
      where: "inputs",
      accepted: contract.inputs.map((input) => input.name).join(", "),
    });
  });
}

function singleTensor(value: unknown, { contract, bodyBytes }: TensorReading): readonly Tensor[] {
  const [only] = contract.inputs;
  if (only !== undefined && contract.inputs.length === 1)
    return [readTensor(only, value, bodyBytes)];
  throw requestInvalid(
    `an array is for a model with one input, this one has ${contract.inputs.length}`,
    {
      where: "body",
      accepted: `an array for each of ${contract.inputs.map((input) => input.name).join(", ")}`,
    },
  );
}

/** One array for each input, from one object for each row. */
function stacked(rows: readonly unknown[], reading: TensorReading): readonly Tensor[] {
  const { contract, bodyBytes } = reading;
  for (const [index, row] of rows.entries()) {
    const where = `instances[${index}]`;
    if (!isJsonObject(row)) {
      throw requestInvalid(`${where} is ${described(row)}`, { where, accepted: "an object" });
    }
    const other = Object.keys(row).find(
      (name) => !contract.inputs.some((input) => input.name === name),
    );
    if (other !== undefined) throw unknownInput(other, reading, where);
  }
  return contract.inputs.map((spec) => {
    const values = rows.map((row, index) => {
      const value = isJsonObject(row) ? member(row, spec.name) : undefined;
      if (value !== undefined) return value;
      const where = `instances[${index}]`;
      throw requestInvalid(`${where} has no ${quoted(spec.name)}`, {
        where,
        accepted: contract.inputs.map((input) => input.name).join(", "),
      });
    });
    return readTensor(spec, values, bodyBytes);
  });
}

/**
 * The inputs of TensorFlow Serving's row form: a tensor for the only input, or an object for each row.
 * @throws `request.invalid`.
 */
export function instancesInputs(value: unknown, reading: TensorReading): readonly Tensor[] {
  return Array.isArray(value) && isJsonObject(value[0])
    ? stacked(value, reading)
    : singleTensor(value, reading);
}

/**
 * The inputs of TensorFlow Serving's column form: a tensor for each input by name, or for the only one.
 * @throws `request.invalid`.
 */
export function columnInputs(value: unknown, reading: TensorReading): readonly Tensor[] {
  return isJsonObject(value) ? feeds(value, reading) : instancesInputs(value, reading);
}
