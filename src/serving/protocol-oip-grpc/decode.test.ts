import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { DTYPES, type DType, type TensorData } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { outputBinary, type Call } from "../protocol/index.ts";
import { typedContents } from "./contents.ts";
import { decode } from "./decode.ts";
import { ModelInferRequestSchema } from "./inference_pb.ts";

type Init = MessageInitShape<typeof ModelInferRequestSchema>;

function single(dtype: DType, shape: readonly number[] = [-1]): Signature {
  return {
    inputs: [{ name: "x", kind: "tensor", dtype, shape }],
    outputs: [
      { name: "y", kind: "tensor", dtype, shape },
      { name: "z", kind: "tensor", dtype, shape },
    ],
  };
}

function read(init: Init, contract = single("FP32")): Call {
  const body = Buffer.from(
    toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init)),
  );
  return decode({ contentType: null, inferenceHeaderLength: null, body }, contract);
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof LastgoodError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

const x = { name: "x", datatype: "FP32", shape: [2n] };
const raw = [outputBinary({ name: "x", dtype: "FP32", shape: [2], data: Float32Array.of(1, 2) })];

const SAMPLES: Readonly<Record<DType, TensorData>> = {
  BOOL: Uint8Array.of(1, 0),
  UINT8: Uint8Array.of(0, 255),
  UINT16: Uint16Array.of(0, 65_535),
  UINT32: Uint32Array.of(0, 4_294_967_295),
  UINT64: BigUint64Array.of(0n, 2n ** 64n - 1n),
  INT8: Int8Array.of(-128, 127),
  INT16: Int16Array.of(-32_768, 32_767),
  INT32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  INT64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
  FP16: Uint16Array.of(0x3c00, 0xc000),
  FP32: Float32Array.of(NaN, -Infinity),
  FP64: Float64Array.of(0.1, -1e300),
  BYTES: ["grün", ""],
};

function sample(dtype: DType): {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: number[];
  readonly data: TensorData;
} {
  return { name: "x", dtype, shape: [2], data: SAMPLES[dtype] };
}

test.each(DTYPES)("%s comes through raw", (dtype) => {
  const input = { name: "x", datatype: dtype, shape: [2n] };
  const rawInputContents = [outputBinary(sample(dtype))];
  const given = read({ inputs: [input], rawInputContents }, single(dtype));
  expect(given.inputs).toEqual([sample(dtype)]);
  expect(given.form).toEqual({ kind: "grpc", outputs: null, raw: true });
});

test.each(DTYPES.filter((dtype) => dtype !== "FP16"))("%s comes through typed", (dtype) => {
  const contents = typedContents(dtype, SAMPLES[dtype]) ?? {};
  const input = { name: "x", datatype: dtype, shape: [2n], contents };
  const given = read({ inputs: [input] }, single(dtype));
  expect(given.inputs).toEqual([sample(dtype)]);
  expect(given.form).toEqual({ kind: "grpc", outputs: null, raw: false });
});

test("FP16 has no typed contents", () => {
  expect(typedContents("FP16", SAMPLES.FP16)).toBeNull();
  const input = { name: "x", datatype: "FP16", shape: [2n], contents: { uintContents: [1, 2] } };
  const message = refusal(() => read({ inputs: [input] }, single("FP16")));
  expect(message).toContain("raw_input_contents");
});

test("the id, the outputs asked for, and parameters that are not known", () => {
  const call = read({
    id: "7",
    inputs: [x],
    outputs: [{ name: "z" }, { name: "y" }],
    parameters: { priority: { parameterChoice: { case: "int64Param", value: 1n } } },
    rawInputContents: raw,
  });
  expect(call).toMatchObject({ id: "7", requestedOutputs: ["z", "y"] });
  expect(read({ inputs: [x], rawInputContents: raw }).id).toBeNull();
});

const region = { parameterChoice: { case: "stringParam", value: "r" } } as const;

test.each<[string, Init]>([
  ['there is no input "y"', { inputs: [{ ...x, name: "y" }], rawInputContents: raw }],
  ['input "x" is missing', {}],
  ['input "x" is given twice', { inputs: [x, x], rawInputContents: [...raw, ...raw] }],
  ['has datatype "FP64"', { inputs: [{ ...x, datatype: "FP64" }], rawInputContents: raw }],
  ["has shape [2, 1]", { inputs: [{ ...x, shape: [2n, 1n] }], rawInputContents: raw }],
  ["shape is [-2]", { inputs: [{ ...x, shape: [-2n] }], rawInputContents: raw }],
  ["has 8 bytes of binary data", { inputs: [{ ...x, shape: [3n] }], rawInputContents: raw }],
  ["more than the body holds", { inputs: [{ ...x, shape: [2n ** 40n] }], rawInputContents: raw }],
  [
    "raw_input_contents has 2 elements for 1 inputs",
    { inputs: [x], rawInputContents: [...raw, ...raw] },
  ],
  ["has both contents and raw", { inputs: [{ ...x, contents: {} }], rawInputContents: raw }],
  ["has no elements", { inputs: [x] }],
  ["has 1 elements", { inputs: [{ ...x, contents: { fp32Contents: [1] } }] }],
  ["do not hold FP32", { inputs: [{ ...x, contents: { fp64Contents: [1, 2] } }] }],
  ["shared memory", { inputs: [{ ...x, parameters: { shared_memory_region: region } }] }],
  ['there is no output "o"', { inputs: [x], outputs: [{ name: "o" }], rawInputContents: raw }],
  [
    "asked for twice",
    { inputs: [x], outputs: [{ name: "y" }, { name: "y" }], rawInputContents: raw },
  ],
  [
    "classification is not served",
    {
      inputs: [x],
      outputs: [{ name: "y", parameters: { classification: region } }],
      rawInputContents: raw,
    },
  ],
])("%s: refused", (why, init) => {
  const message = refusal(() => read(init));
  expect(message).toMatch(/^request\.invalid: /);
  expect(message).toContain(why);
});

test.each<[DType, NonNullable<NonNullable<Init["inputs"]>[number]["contents"]>, string]>([
  ["INT8", { intContents: [128, 0] }, "which INT8 cannot hold"],
  ["UINT8", { uintContents: [256, 0] }, "which UINT8 cannot hold"],
  ["BYTES", { bytesContents: [Uint8Array.of(0xff), Uint8Array.of()] }, "not UTF-8"],
  ["BYTES", { bytesContents: [Uint8Array.of(0x61, 0), Uint8Array.of()] }, "element 0 holds a NUL"],
])("%s: what the type cannot hold is refused", (dtype, contents, why) => {
  const init = { inputs: [{ name: "x", datatype: dtype, shape: [2n], contents }] };
  expect(refusal(() => read(init, single(dtype)))).toContain(why);
});
