import type { MessageInitShape } from "@bufbuild/protobuf";

import type { DType, TensorData } from "../../core/tensor/index.ts";
import {
  elementOfBytes,
  newElements,
  requestInvalid,
  writeElements,
  elementRefused,
  type WritableData,
} from "../protocol/index.ts";
import type { InferTensorContents, InferTensorContentsSchema } from "./inference_pb.ts";

/** Fields of the typed contents; FP16 has none. */
const FIELDS = {
  BOOL: "boolContents",
  INT8: "intContents",
  INT16: "intContents",
  INT32: "intContents",
  INT64: "int64Contents",
  UINT8: "uintContents",
  UINT16: "uintContents",
  UINT32: "uintContents",
  UINT64: "uint64Contents",
  FP32: "fp32Contents",
  FP64: "fp64Contents",
  BYTES: "bytesContents",
} as const satisfies Partial<Record<DType, keyof InferTensorContents>>;

type Field = (typeof FIELDS)[keyof typeof FIELDS];
const ALL_FIELDS: readonly Field[] = [...new Set(Object.values(FIELDS))];

function fieldOf(dtype: DType): Field | null {
  return dtype === "FP16" ? null : FIELDS[dtype];
}

/** Elements as typed contents, or null where the type has none. */
export function typedContents(
  dtype: DType,
  data: TensorData,
): MessageInitShape<typeof InferTensorContentsSchema> | null {
  const field = fieldOf(dtype);
  if (field === null) return null;
  const values = Array.from<string | number | bigint>(data);
  if (dtype === "BYTES") return { [field]: values.map((text) => Buffer.from(String(text))) };
  return { [field]: dtype === "BOOL" ? values.map(Boolean) : values };
}

/** One input's typed contents. */
export interface TypedInput {
  readonly dtype: DType;
  readonly count: number;
  /** Names the place for error messages. */
  readonly where: string;
}

function valuesOf({ dtype, where }: TypedInput, contents: InferTensorContents): readonly unknown[] {
  const field = fieldOf(dtype);
  const other = ALL_FIELDS.find((each) => each !== field && contents[each].length > 0);
  if (field === null || other !== undefined) {
    throw requestInvalid(`${where} has typed contents that do not hold ${dtype}`, {
      where,
      accepted: field === null ? "raw_input_contents" : snakeCase(field),
    });
  }
  if (dtype !== "BYTES") return contents[field];
  return contents.bytesContents.map((bytes, index) => elementOfBytes(bytes, where, index));
}

/**
 * The elements of typed contents.
 * @throws `request.invalid` for another field than the type's, another number of elements, a value that
 * the type cannot hold, or BYTES that are not UTF-8 text.
 */
export function readTyped(input: TypedInput, contents: InferTensorContents): WritableData {
  const { dtype, count, where } = input;
  const values = valuesOf(input, contents);
  if (values.length !== count) {
    throw requestInvalid(`${where} has ${values.length} elements`, {
      where,
      accepted: `${count}, the product of its shape`,
    });
  }
  // Floats are what they were in the message, NaN too.
  if (dtype === "FP32") return Float32Array.from(contents.fp32Contents);
  if (dtype === "FP64") return Float64Array.from(contents.fp64Contents);
  const out = newElements(dtype, count);
  const wrong = writeElements(dtype, out, { at: 0, values, missing: "refuse" });
  if (wrong >= 0) throw elementRefused(dtype, `${where}[${wrong}]`, values[wrong]);
  return out;
}

function snakeCase(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
