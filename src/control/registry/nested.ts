import { LastgoodError } from "../../core/errors/index.ts";
import { type DType, elementCount, type WireTensor } from "../../core/tensor/index.ts";
import { describeSpec, type TensorSpec } from "../../core/version/index.ts";

/** Deepest nesting that is looked at. */
const MOST_AXES = 16;

const INTEGER_RANGE: Readonly<Partial<Record<DType, readonly [bigint, bigint]>>> = {
  UINT8: [0n, 255n],
  UINT16: [0n, 65_535n],
  UINT32: [0n, 4_294_967_295n],
  UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-128n, 127n],
  INT16: [-32_768n, 32_767n],
  INT32: [-(2n ** 31n), 2n ** 31n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** The refusal of an input example: where in it, and what is wrong there. */
export function unfit(where: string, what: string, hint?: string): LastgoodError {
  return new LastgoodError("input.invalid", `the input example does not fit: ${where} ${what}`, {
    hint,
    details: { where },
  });
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function shapeOf(value: unknown, where: string): number[] {
  const shape: number[] = [];
  let level = value;
  while (Array.isArray(level)) {
    shape.push(level.length);
    if (shape.length > MOST_AXES) throw unfit(where, `is nested deeper than ${MOST_AXES} lists`);
    level = (level as readonly unknown[])[0];
  }
  return shape;
}

function wholeNumber(value: unknown): bigint | null {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === "string" && /^-?\d{1,20}$/.test(value) ? BigInt(value) : null;
}

function integerElement(dtype: DType, value: unknown): number | string | null {
  const range = INTEGER_RANGE[dtype];
  const whole = wholeNumber(value);
  if (range === undefined || whole === null || whole < range[0] || whole > range[1]) return null;
  return dtype === "INT64" || dtype === "UINT64" ? String(whole) : Number(whole);
}

function truthElement(value: unknown): number | null {
  if (value === true || value === 1) return 1;
  return value === false || value === 0 ? 0 : null;
}

function realElement(value: unknown): number | string | null {
  // A missing number of a table.
  if (value === null) return "NaN";
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** One element in the JSON form of tensors, or null where it is not of the type. */
function element(dtype: DType, value: unknown): number | string | null {
  if (dtype === "BYTES") return typeof value === "string" ? value : null;
  if (dtype === "BOOL") return truthElement(value);
  if (dtype === "FP32" || dtype === "FP64") return realElement(value);
  if (dtype !== "FP16") return integerElement(dtype, value);
  const real = realElement(value);
  return real === null ? null : halfBits(Number(real));
}

/** Throws unless a shape is one the input takes. */
function checkShape(spec: TensorSpec, shape: readonly number[], where: string): void {
  const taken =
    spec.shape.length === shape.length &&
    spec.shape.every((axis, index) => axis === -1 || axis === shape[index]);
  if (!taken) {
    const wrap = spec.shape.length === shape.length + 1 ? "one row is written [[…]]" : undefined;
    throw unfit(
      where,
      `has shape [${shape.join(", ")}], the model takes ${describeSpec(spec)}`,
      wrap,
    );
  }
  if (elementCount(shape) === 0) throw unfit(where, "is empty");
}

/** Bits of a number as IEEE 754 binary16, the form FP16 elements have. */
function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65_520) return sign | 0x7c00;
  const exponent = Math.max(Math.floor(Math.log2(size)), -14);
  const steps = Math.round(size / 2 ** (exponent - 10));
  // Those of a subnormal number are its steps alone: its exponent adds nothing.
  return sign | (((exponent + 14) << 10) + steps);
}

/**
 * The tensor of nested lists (row-major), checked against what the input takes: shape, regular
 * nesting, and each element's type and range.
 * @throws `input.invalid` naming the place: `inputs.x[3][2]`.
 */
export function tensorFromNested(spec: TensorSpec, value: unknown, where: string): WireTensor {
  const shape = shapeOf(value, where);
  checkShape(spec, shape, where);
  const data: (number | string)[] = [];
  const walk = (level: unknown, axis: number, at: string): void => {
    if (axis === shape.length) {
      const taken = element(spec.dtype, level);
      if (taken === null) throw unfit(at, `is ${shown(level)}, which is no ${spec.dtype}`);
      data.push(taken);
      return;
    }
    if (!Array.isArray(level) || level.length !== shape[axis])
      throw unfit(at, `is ${shown(level)}, where a list of ${shape[axis]} is expected`);
    for (const [index, part] of level.entries()) walk(part, axis + 1, `${at}[${index}]`);
  };
  walk(value, 0, where);
  return { name: spec.name, dtype: spec.dtype, shape, data };
}
