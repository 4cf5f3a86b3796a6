import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { DType } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import type { Call } from "../protocol/index.ts";
import { decode } from "./decode.ts";

const iris: Signature = {
  inputs: [{ name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 4] }],
  outputs: [
    { name: "label", kind: "tensor", dtype: "INT64", shape: [-1] },
    { name: "scores", kind: "maps", keyDtype: "INT64", valueDtype: "FP32" },
  ],
};

function single(dtype: DType, shape: readonly number[] = [-1]): Signature {
  return { inputs: [{ name: "x", kind: "tensor", dtype, shape }], outputs: iris.outputs };
}

function read(
  body: unknown,
  contract = iris,
  contentType: string | null = "application/json",
): Call {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const request = { contentType, inferenceHeaderLength: null, body: Buffer.from(text) };
  return decode(request, contract);
}

function readBinary(json: unknown, bytes: Uint8Array, contract: Signature): Call {
  const head = Buffer.from(json === null ? "" : JSON.stringify(json));
  return decode(
    {
      contentType: null,
      inferenceHeaderLength: String(head.length),
      body: Buffer.concat([head, bytes]),
    },
    contract,
  );
}

function input(over: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return { name: "x", datatype: "FP32", shape: [2, 4], data: [1, 2, 3, 4, 5, 6, 7, 8], ...over };
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

test("flat and nested data are one tensor", () => {
  const flat = read({ id: "7", inputs: [input()] });
  const nested = read({
    id: "7",
    inputs: [
      input({
        data: [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ],
      }),
    ],
  });
  expect(flat).toEqual(nested);
  expect(flat).toEqual({
    inputs: [
      { name: "x", dtype: "FP32", shape: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
    ],
    id: "7",
    requestedOutputs: null,
    form: { kind: "oip", outputs: null, binary: false },
  });
});

test.each<[DType, unknown[], unknown]>([
  ["BOOL", [true, false], Uint8Array.of(1, 0)],
  ["UINT8", [0, 255], Uint8Array.of(0, 255)],
  ["UINT16", [0, 65_535], Uint16Array.of(0, 65_535)],
  ["UINT32", [0, 4_294_967_295], Uint32Array.of(0, 4_294_967_295)],
  ["INT8", [-128, 127], Int8Array.of(-128, 127)],
  ["INT16", [-32_768, 32_767], Int16Array.of(-32_768, 32_767)],
  ["INT32", [-2_147_483_648, 5], Int32Array.of(-2_147_483_648, 5)],
  ["FP32", [0.1, -0], Float32Array.of(0.1, 0)],
  ["FP64", [0.1, 1e308], Float64Array.of(0.1, 1e308)],
  ["BYTES", ["a", "ü€"], ["a", "ü€"]],
])("%s takes its values", (datatype, data, expected) => {
  const call = read({ inputs: [{ name: "x", datatype, shape: [2], data }] }, single(datatype));
  expect(call.inputs[0]?.data).toEqual(expected);
});

test("64-bit integers are exact to the last digit", () => {
  const signed = read(
    '{"inputs":[{"name":"x","datatype":"INT64","shape":[3],"data":[9007199254740993,-9223372036854775808,7]}]}',
    single("INT64"),
  );
  expect(signed.inputs[0]?.data).toEqual(
    BigInt64Array.of(9_007_199_254_740_993n, -(2n ** 63n), 7n),
  );
  const unsigned = read(
    '{"inputs":[{"name":"x","datatype":"UINT64","shape":[1],"data":[18446744073709551615]}]}',
    single("UINT64"),
  );
  expect(unsigned.inputs[0]?.data).toEqual(BigUint64Array.of(2n ** 64n - 1n));
});

test.each<[DType, string, string]>([
  ["UINT8", "[256]", "the number 256, which UINT8 cannot hold; accepted: integers from 0 to 255"],
  ["INT32", "[1.5]", "the number 1.5, which INT32"],
  ["INT64", "[9223372036854775808]", "the number 9223372036854775808, which INT64"],
  ["INT64", "[1e300]", "the number 1e+300, which INT64"],
  ["UINT64", "[-1]", "the number -1, which UINT64"],
  ["FP32", "[1e39]", "the number 1e+39, which FP32"],
  ["FP64", "[1e999]", "the number Infinity, which FP64"],
  ["FP32", "[null]", "null, which FP32"],
  ["FP32", '["1"]', 'the string "1", which FP32'],
  ["FP32", "[true]", "true, which FP32"],
  ["BOOL", "[1]", "the number 1, which BOOL cannot hold; accepted: true and false"],
  ["BYTES", "[1]", "the number 1, which BYTES"],
  ["BYTES", '["\\ud800"]', "which BYTES"],
  ["BYTES", '["a\\u0000b"]', "which BYTES cannot hold; accepted: strings without NUL"],
  ["FP16", "[1]", "FP16, which is not taken as JSON"],
])("%s refuses %s", (datatype, data, message) => {
  const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1],"data":${data}}]}`;
  const text = refusal(() => read(body, single(datatype)));
  expect(text).toContain('request.invalid: input "x" data[0] is ');
  expect(text).toContain(message);
});

test.each<[string, unknown, string]>([
  ["no object", [1], "the body is an array; accepted: an object"],
  ["no inputs", {}, "inputs is missing; accepted: an array of tensors"],
  ["an input that is no object", { inputs: [1] }, "inputs[0] is the number 1"],
  ["a name that is no string", { inputs: [input({ name: 1 })] }, "inputs[0].name is the number 1"],
  ["an unknown input", { inputs: [input({ name: "y" })] }, 'no input "y"; accepted: x'],
  ["an input of Object", { inputs: [input({ name: "constructor" })] }, 'no input "constructor"'],
  ["no inputs at all", { inputs: [] }, 'input "x" is missing; accepted: x'],
  ["one input twice", { inputs: [input(), input()] }, 'input "x" is given twice'],
  [
    "another datatype",
    { inputs: [input({ datatype: "FP64" })] },
    'input "x": datatype is the string "FP64"; accepted: FP32',
  ],
  [
    "no datatype",
    { inputs: [input({ datatype: undefined })] },
    "datatype is missing; accepted: FP32",
  ],
  ["no shape", { inputs: [input({ shape: undefined })] }, "shape is missing"],
  ["a negative axis", { inputs: [input({ shape: [-1, 4] })] }, "shape is not a list of lengths"],
  ["another rank", { inputs: [input({ shape: [8] })] }, "has shape [8]; accepted: [any, 4]"],
  ["another axis", { inputs: [input({ shape: [4, 2] })] }, "has shape [4, 2]; accepted: [any, 4]"],
  ["no rows", { inputs: [input({ shape: [0, 4], data: [] })] }, "is empty"],
  ["a count too large", { inputs: [input({ shape: [1e15, 4] })] }, "more than the body holds"],
  ["too few elements", { inputs: [input({ data: [1] })] }, "data has 1 elements; accepted: 8"],
  ["no data", { inputs: [input({ data: undefined })] }, "data is missing"],
  [
    "ragged data",
    { inputs: [input({ data: [[1, 2, 3, 4], [5]] })] },
    "data[1] is an array of 1; accepted: an array of 4, as in the shape [2, 4]",
  ],
  [
    "deeper data",
    {
      inputs: [
        input({
          data: [
            [[1], 2, 3, 4],
            [1, 2, 3, 4],
          ],
        }),
      ],
    },
    "data[0][0] is an array, which FP32 cannot hold",
  ],
  ["an id that is no string", { id: 1, inputs: [input()] }, "id is the number 1"],
  [
    "an unknown output",
    { inputs: [input()], outputs: [{ name: "z" }] },
    'no output "z"; accepted: label, scores',
  ],
  [
    "one output twice",
    { inputs: [input()], outputs: [{ name: "label" }, { name: "label" }] },
    'output "label" is asked for twice',
  ],
  [
    "classification",
    { inputs: [input()], outputs: [{ name: "label", parameters: { classification: 2 } }] },
    "the parameter classification is not served",
  ],
  [
    "shared memory",
    { inputs: [input({ parameters: { shared_memory_region: "a" } })] },
    "is in shared memory",
  ],
  [
    "a flag that is none",
    { inputs: [input()], parameters: { binary_data_output: "yes" } },
    "binary_data_output is the string",
  ],
  [
    "binary data that is not there",
    { inputs: [input({ data: undefined, parameters: { binary_data_size: 32 } })] },
    "says 32 bytes of binary data, 0 are left",
  ],
])("%s is refused", (_what, body, message) => {
  const text = refusal(() => read(body));
  expect(text).toMatch(/^request\.invalid: /);
  expect(text).toContain(message);
});

test("content types that carry no JSON are 415, the usual ones and none are taken", () => {
  const body = { inputs: [input()] };
  for (const type of [null, "application/json; charset=utf-8", "application/octet-stream"]) {
    expect(read(body, iris, type).inputs).toHaveLength(1);
  }
  expect(refusal(() => read(body, iris, "text/csv"))).toBe(
    'content-type.unsupported: the content type is "text/csv"',
  );
});

test("parameters that nobody knows are ignored", () => {
  const parameters = { priority: 1, sequence_id: 5, mine: "x" };
  expect(read({ parameters, inputs: [input({ parameters })] }).inputs).toHaveLength(1);
});

test("null is what a member says that is not there", () => {
  // As pydantic and other libraries write every field they know.
  const none = { id: null, parameters: null, outputs: null };
  const plain = read({ inputs: [input()] });
  expect(read({ ...none, inputs: [input({ parameters: null })] })).toEqual(plain);
  const outputs = [{ name: "label", parameters: null }];
  expect(read({ inputs: [input()], outputs }).requestedOutputs).toEqual(["label"]);
  const bytes = input({ data: null, parameters: { binary_data_size: 32 } });
  expect(readBinary({ inputs: [bytes] }, new Uint8Array(32), iris).inputs).toHaveLength(1);
  expect(refusal(() => read({ inputs: [input({ data: null })] }))).toContain("data is missing");
});

test("outputs are a subset in the order asked for, each binary or not", () => {
  const call = read({
    inputs: [input()],
    parameters: { binary_data_output: true },
    outputs: [{ name: "scores", parameters: { binary_data: false } }, { name: "label" }],
  });
  expect(call.requestedOutputs).toEqual(["scores", "label"]);
  expect(call.form).toEqual({
    kind: "oip",
    outputs: [
      { name: "scores", binary: false },
      { name: "label", binary: true },
    ],
    binary: true,
  });
});

const two: Signature = {
  inputs: [
    { name: "a", kind: "tensor", dtype: "BYTES", shape: [-1] },
    { name: "b", kind: "tensor", dtype: "FP16", shape: [2] },
  ],
  outputs: iris.outputs,
};

function bytesInput(size: number): Readonly<Record<string, unknown>> {
  return { name: "a", datatype: "BYTES", shape: [2], parameters: { binary_data_size: size } };
}
const halfInput = { name: "b", datatype: "FP16", shape: [2], parameters: { binary_data_size: 4 } };
const twoTexts = Buffer.from("\x01\0\0\0x\x02\0\0\0\xc3\xbc", "latin1");
const twoHalves = Buffer.of(0, 0x3c, 0, 0x40);

test("binary tensors follow the JSON in the order of its inputs", () => {
  const json = { inputs: [halfInput, bytesInput(11)] };
  const call = readBinary(json, Buffer.concat([twoHalves, twoTexts]), two);
  expect(call.inputs).toEqual([
    { name: "a", dtype: "BYTES", shape: [2], data: ["x", "ü"] },
    { name: "b", dtype: "FP16", shape: [2], data: Uint16Array.of(0x3c00, 0x4000) },
  ]);
});

test.each<[string, unknown, Buffer, string]>([
  [
    "bytes left over",
    { inputs: [bytesInput(11), halfInput] },
    Buffer.concat([twoTexts, twoHalves, twoHalves]),
    "4 bytes of the body belong to no input",
  ],
  [
    "too few bytes",
    { inputs: [bytesInput(11), halfInput] },
    twoTexts,
    "says 4 bytes of binary data, 0 are left",
  ],
  [
    "a length cut off",
    { inputs: [bytesInput(7)] },
    twoTexts.subarray(0, 7),
    "ends before the length of element 1",
  ],
  [
    "an element cut off",
    { inputs: [bytesInput(10)] },
    twoTexts.subarray(0, 10),
    "element 1 says 2 bytes, 1 are left",
  ],
  [
    "more than two elements",
    { inputs: [bytesInput(12)] },
    Buffer.concat([twoTexts, Buffer.of(0)]),
    "1 bytes after its last element",
  ],
  [
    "bytes that are no text",
    { inputs: [bytesInput(11)] },
    Buffer.from("\x01\0\0\0x\x02\0\0\0\xff\xff", "latin1"),
    "element 1 is not UTF-8",
  ],
  [
    "a text that the engine would end early",
    { inputs: [bytesInput(11)] },
    Buffer.from("\x01\0\0\0x\x02\0\0\0a\0", "latin1"),
    "element 1 holds a NUL; accepted: BYTES that are UTF-8 text without NUL",
  ],
  [
    "another size",
    { inputs: [{ ...halfInput, parameters: { binary_data_size: 3 } }] },
    Buffer.alloc(3),
    "has 3 bytes of binary data; accepted: 4 bytes: 2 elements of FP16",
  ],
  [
    "a size that is none",
    { inputs: [{ ...halfInput, parameters: { binary_data_size: -1 } }] },
    Buffer.alloc(0),
    "binary_data_size is the number -1",
  ],
  [
    "data beside it",
    { inputs: [{ ...halfInput, data: [1, 2] }] },
    twoHalves,
    "has both data and binary_data_size",
  ],
])("binary tensors with %s are refused", (_what, json, bytes, message) => {
  expect(refusal(() => readBinary(json, bytes, two))).toContain(message);
});

test.each(["-1", "x", "1e3", "99999", "", "0x10"])("a JSON length of %j is refused", (length) => {
  const body = Buffer.from(JSON.stringify({ inputs: [input()] }));
  const request = { contentType: null, inferenceHeaderLength: length, body };
  expect(refusal(() => decode(request, iris))).toContain("Inference-Header-Content-Length is");
});

test("a BOOL byte above 1 is refused", () => {
  const json = {
    inputs: [{ name: "x", datatype: "BOOL", shape: [1], parameters: { binary_data_size: 1 } }],
  };
  expect(readBinary(json, Buffer.of(1), single("BOOL")).inputs[0]?.data).toEqual(Uint8Array.of(1));
  expect(refusal(() => readBinary(json, Buffer.of(2), single("BOOL")))).toContain("a byte above 1");
});

test("a body without JSON is the only input, its open axis told by its size", () => {
  const rows = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
  const call = readBinary(null, rows, iris);
  expect(call.inputs[0]).toEqual({
    name: "x",
    dtype: "FP32",
    shape: [1, 4],
    data: Float32Array.of(1, 2, 3, 4),
  });
  expect(call.form).toEqual({ kind: "oip", outputs: null, binary: true });
  expect(readBinary(null, rows, single("FP32", [-1, -1])).inputs[0]?.shape).toEqual([1, 4]);
  const text = readBinary(null, Buffer.from("whole ü"), single("BYTES", [-1, 1]));
  expect(text.inputs[0]).toMatchObject({ shape: [1, 1], data: ["whole ü"] });
});

test.each<[Signature, number, string]>([
  [iris, 12, "3 elements do not fill the shape; accepted: [any, 4]"],
  [iris, 3, "0.75 elements do not fill"],
  [iris, 0, "is empty"],
  [single("FP32", [2]), 4, "1 elements do not fill the shape; accepted: [2]"],
  [single("FP32", [-1, -1, -1]), 4, "does not tell the shape"],
  [single("FP32", [2, -1, -1]), 8, "does not tell the shape"],
  [two, 4, "a body without JSON is for one input, there are 2"],
])("a body without JSON that fits no shape is refused", (contract, size, message) => {
  expect(refusal(() => readBinary(null, Buffer.alloc(size), contract))).toContain(message);
});
