import * as z from "zod";

import {
  allocate,
  DTYPES,
  elementCount,
  isMapSequence,
  type DType,
  type OutputValue,
  type Tensor,
  type TensorData,
} from "./tensor.ts";

/** JSON form of elements: what JSON cannot say exactly (64-bit integers, NaN, ±Infinity, -0) is text. */
const wireElements = z.array(z.union([z.number(), z.string()]));

/** Whether JSON's form of an element can become one of the dtype without becoming another value. */
function isElement(dtype: DType, element: number | string): boolean {
  if (dtype === "BYTES") return true;
  if (dtype === "INT64" || dtype === "UINT64") return /^-?\d{1,20}$/.test(String(element));
  return element === "NaN" || (element !== "" && !Number.isNaN(Number(element)));
}

/**
 * JSON form of a tensor, exact to the bit of every value but NaN's payload. It has as many elements
 * as its shape says, and each can be one of its dtype.
 */
export const wireTensorSchema = z
  .object({
    name: z.string(),
    dtype: z.enum(DTYPES),
    shape: z.array(z.number().int().nonnegative()),
    data: wireElements,
  })
  .refine(({ shape, data }) => elementCount(shape) === data.length, {
    error: "has not as many elements as its shape says",
    path: ["data"],
  })
  .refine(({ dtype, data }) => data.every((element) => isElement(dtype, element)), {
    error: "has an element that is none of its dtype",
    path: ["data"],
  });

/** JSON form of one output. */
export const wireOutputSchema = z.union([
  wireTensorSchema,
  z
    .object({
      name: z.string(),
      kind: z.literal("maps"),
      keys: z.array(z.union([z.string(), z.number()])),
      values: wireElements,
      rows: z.number().int().nonnegative(),
    })
    .refine(({ keys, rows, values }) => keys.length * rows === values.length, {
      error: "has not a value for each key of each row",
      path: ["values"],
    }),
]);

/** JSON form of a golden sample. */
export const wireSampleSchema = z.object({
  inputs: z.array(wireTensorSchema),
  outputs: z.array(wireOutputSchema),
});

/** JSON form of a tensor. */
export type WireTensor = z.infer<typeof wireTensorSchema>;
/** JSON form of one output. */
export type WireOutput = z.infer<typeof wireOutputSchema>;
/** JSON form of a golden sample. */
export type WireSample = z.infer<typeof wireSampleSchema>;

function elementToWire(value: number | bigint | string): number | string {
  if (typeof value !== "number") return String(value);
  return Number.isFinite(value) && !Object.is(value, -0)
    ? value
    : Object.is(value, -0)
      ? "-0"
      : String(value);
}

function elementsFromWire(dtype: DType, elements: readonly (number | string)[]): TensorData {
  if (dtype === "BYTES") return elements.map(String);
  const data = allocate(dtype, elements.length);
  const big = data instanceof BigInt64Array || data instanceof BigUint64Array;
  elements.forEach((element, index) => {
    data[index] = big ? BigInt(element) : Number(element);
  });
  return data;
}

/** The JSON form of a tensor. */
export function tensorToWire(tensor: Tensor): WireTensor {
  const data = Array.from<number | bigint | string, number | string>(tensor.data, elementToWire);
  return { name: tensor.name, dtype: tensor.dtype, shape: [...tensor.shape], data };
}

/** The tensor of a JSON form that its schema accepted. */
export function tensorFromWire(wire: WireTensor): Tensor {
  return {
    name: wire.name,
    dtype: wire.dtype,
    shape: wire.shape,
    data: elementsFromWire(wire.dtype, wire.data),
  };
}

/** The JSON form of one output. */
export function outputToWire(output: OutputValue): WireOutput {
  if (!isMapSequence(output)) return tensorToWire(output);
  return {
    name: output.name,
    kind: "maps",
    keys: [...output.keys],
    values: Array.from(output.values, elementToWire),
    rows: output.rows,
  };
}

/** The output of a JSON form that its schema accepted. */
export function outputFromWire(wire: WireOutput): OutputValue {
  if (!("kind" in wire)) return tensorFromWire(wire);
  return {
    name: wire.name,
    kind: "maps",
    keys: wire.keys,
    values: Float64Array.from(wire.values, Number),
    rows: wire.rows,
  };
}
