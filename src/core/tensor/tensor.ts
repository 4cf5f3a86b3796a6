/** Element types of tensors, in the words of the Open Inference Protocol v2. */
export const DTYPES = [
  "BOOL",
  "UINT8",
  "UINT16",
  "UINT32",
  "UINT64",
  "INT8",
  "INT16",
  "INT32",
  "INT64",
  "FP16",
  "FP32",
  "FP64",
  "BYTES",
] as const;

/** One element type. */
export type DType = (typeof DTYPES)[number];

/**
 * Elements in row-major order. BOOL is 0 or 1 in a Uint8Array, FP16 is its bits in a
 * Uint16Array, BYTES are strings (UTF-8 text).
 */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly string[];

/** A named dense array of one element type. */
export interface Tensor {
  readonly name: string;
  readonly dtype: DType;
  /** Length of each axis; `data` holds their product of elements. */
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** A sequence of maps, one per row, as scikit-learn's ZipMap gives it. */
export interface MapSequence {
  readonly name: string;
  readonly kind: "maps";
  /** Keys shared by every row: class labels. */
  readonly keys: readonly (string | number)[];
  /** `[rows, keys.length]` in row-major order. */
  readonly values: Float32Array | Float64Array;
  readonly rows: number;
}

/** One output of a model. */
export type OutputValue = Tensor | MapSequence;

/** True for a sequence of maps. */
export function isMapSequence(value: OutputValue): value is MapSequence {
  return "kind" in value;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes per element; 0 for BYTES, whose elements differ in length. */
export const ELEMENT_BYTES: Readonly<Record<DType, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
};

/** An empty typed array of the element type with room for `length` elements. BYTES has none. */
export function allocate(
  dtype: Exclude<DType, "BYTES">,
  length: number,
): Exclude<TensorData, readonly string[]> {
  switch (dtype) {
    case "BOOL":
    case "UINT8":
      return new Uint8Array(length);
    case "UINT16":
    case "FP16":
      return new Uint16Array(length);
    case "UINT32":
      return new Uint32Array(length);
    case "UINT64":
      return new BigUint64Array(length);
    case "INT8":
      return new Int8Array(length);
    case "INT16":
      return new Int16Array(length);
    case "INT32":
      return new Int32Array(length);
    case "INT64":
      return new BigInt64Array(length);
    case "FP32":
      return new Float32Array(length);
    case "FP64":
      return new Float64Array(length);
  }
}
