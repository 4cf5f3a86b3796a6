import { elementCount, type Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import {
  acceptedCount,
  described,
  inputText,
  isJsonObject,
  member,
  newElements,
  quoted,
  requestInvalid,
  shapeText,
  writeNested,
} from "../protocol/index.ts";

type JsonObject = Readonly<Record<string, unknown>>;

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

function unknownInput(name: string, contract: Signature, where: string): Error {
  const single = contract.inputs.length === 1;
  return requestInvalid(`there is no input ${quoted(name)}`, {
    where,
    accepted: contract.inputs.map((input) => input.name).join(", "),
    ...(single ? { hint: "for named columns of one input send dataframe_records" } : {}),
  });
}

function feeds(values: JsonObject, contract: Signature, bodyBytes: number): readonly Tensor[] {
  for (const name of Object.keys(values)) {
    if (!contract.inputs.some((input) => input.name === name)) {
      throw unknownInput(name, contract, "inputs");
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

function singleTensor(value: unknown, contract: Signature, bodyBytes: number): readonly Tensor[] {
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
function stacked(
  rows: readonly unknown[],
  contract: Signature,
  bodyBytes: number,
): readonly Tensor[] {
  for (const [index, row] of rows.entries()) {
    const where = `instances[${index}]`;
    if (!isJsonObject(row)) {
      throw requestInvalid(`${where} is ${described(row)}`, { where, accepted: "an object" });
    }
    const other = Object.keys(row).find(
      (name) => !contract.inputs.some((input) => input.name === name),
    );
    if (other !== undefined) throw unknownInput(other, contract, where);
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
export function instancesInputs(
  value: unknown,
  contract: Signature,
  bodyBytes: number,
): readonly Tensor[] {
  return Array.isArray(value) && isJsonObject(value[0])
    ? stacked(value, contract, bodyBytes)
    : singleTensor(value, contract, bodyBytes);
}

/**
 * The inputs of TensorFlow Serving's column form: a tensor for each input by name, or for the only one.
 * @throws `request.invalid`.
 */
export function columnInputs(
  value: unknown,
  contract: Signature,
  bodyBytes: number,
): readonly Tensor[] {
  return isJsonObject(value)
    ? feeds(value, contract, bodyBytes)
    : instancesInputs(value, contract, bodyBytes);
}
