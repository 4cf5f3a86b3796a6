import { allocate, elementCount, type Tensor, type TensorData } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";

/** Kinds of values that samples are drawn from: models differ in what they accept. */
const FLAVOURS = [
  { float: (random: () => number) => normal(random), integers: 10 },
  { float: (random: () => number) => random(), integers: 2 },
  { float: (random: () => number) => 10 * normal(random), integers: 100 },
] as const;

type Flavour = (typeof FLAVOURS)[number];

/** Length of an axis that the model leaves open. */
const OPEN_AXIS = 2;
/** Larger inputs are not generated. */
const MAX_ELEMENTS = 50_000;

/** A generator of numbers in [0, 1) (mulberry32): the same seed gives the same numbers. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller's transform. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Bits of a positive FP16 in [1, 2): every pattern of the fraction is one. */
function halfBits(random: () => number): number {
  return 0x3c00 + Math.floor(random() * 1024);
}

function drawData(
  spec: TensorSpec,
  length: number,
  flavour: Flavour,
  random: () => number,
): TensorData {
  const { dtype } = spec;
  const integer = (): number => Math.floor(random() * flavour.integers);
  if (dtype === "BYTES")
    return Array.from({ length }, () => String.fromCodePoint(97 + (integer() % 26)));
  const data = allocate(dtype, length);
  for (let index = 0; index < length; index += 1) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array)
      data[index] = BigInt(integer());
    else if (dtype === "FP32" || dtype === "FP64") data[index] = flavour.float(random);
    else if (dtype === "FP16") data[index] = halfBits(random);
    else data[index] = dtype === "BOOL" ? integer() % 2 : integer();
  }
  return data;
}

/**
 * Sets of inputs that fit a signature, the same ones for the same seed; axes of any length are 2
 * long. Empty where they would be very large.
 */
export function generateSamples(signature: Signature, seed: string): Tensor[][] {
  const shapes = signature.inputs.map((input) =>
    input.shape.map((axis) => (axis === -1 ? OPEN_AXIS : axis)),
  );
  const total = shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
  if (total > MAX_ELEMENTS) return [];
  const random = seeded(Number.parseInt(seed.replace("sha256:", "").slice(0, 8), 16));
  return FLAVOURS.map((flavour) =>
    signature.inputs.map((spec, index): Tensor => {
      const shape = shapes[index] ?? [];
      const data = drawData(spec, elementCount(shape), flavour, random);
      return { name: spec.name, dtype: spec.dtype, shape, data };
    }),
  );
}
