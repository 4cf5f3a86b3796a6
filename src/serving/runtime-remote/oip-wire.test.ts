import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { readAnswer, readMetadata, writeRequest } from "./oip-wire.ts";

function failure(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return LastgoodError.from(error).code;
  }
  return "read";
}

function answer(datatype: string, shape: readonly number[], data: string): string {
  return `{"outputs":[{"name":"y","datatype":"${datatype}","shape":[${shape.join()}],"data":${data}}]}`;
}

test("a request says 64-bit integers and texts exactly", () => {
  const text = writeRequest([
    { name: "i", dtype: "INT64", shape: [2], data: BigInt64Array.of(2n ** 62n + 1n, -5n) },
    { name: "s", dtype: "BYTES", shape: [1, 1], data: ['"grün"'] },
  ]);
  expect(text).toBe(
    '{"inputs":[{"name":"i","shape":[2],"datatype":"INT64","data":[4611686018427387905,-5]},' +
      '{"name":"s","shape":[1,1],"datatype":"BYTES","data":["\\"grün\\""]}]}',
  );
});

test("answers are read flat or nested", () => {
  const flat = readAnswer(answer("FP32", [2, 2], "[1,2,3,4]"));
  expect(flat).toEqual([
    { name: "y", dtype: "FP32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  ]);
  expect(readAnswer(answer("FP32", [2, 2], "[[1,2],[3,4]]"))).toEqual(flat);
  expect(readAnswer(answer("BOOL", [2], "[true,false]"))[0]?.data).toEqual(Uint8Array.of(1, 0));
  expect(readAnswer(answer("UINT64", [1], "[18446744073709551615]"))[0]?.data).toEqual(
    BigUint64Array.of(2n ** 64n - 1n),
  );
  expect(readAnswer(answer("FP64", [2], "[NaN,-Infinity]"))[0]?.data).toEqual(
    Float64Array.of(NaN, -Infinity),
  );
});

function nested(depth: number): string {
  return answer("INT32", [1], `${"[".repeat(depth)}7${"]".repeat(depth)}`);
}

test("lists within lists are put together, but not those that no tensor has", () => {
  expect(readAnswer(nested(64))[0]?.data).toEqual(Int32Array.of(7));
  expect(failure(() => readAnswer(nested(65)))).toBe("runtime.failed");
  expect(failure(() => readAnswer(nested(100_000)))).toBe("runtime.failed");
});

test.each([
  ['{"outputs":{}}', "Invalid input: expected array, received object"],
  ['{"outputs":[7]}', "outputs[0]"],
  ['{"outputs":[{"name":7,"datatype":"FP32","shape":[1],"data":[1]}]}', "outputs[0].name"],
  ['{"outputs":[{"name":"y","datatype":"FP31","shape":[1],"data":[1]}]}', "outputs[0].datatype"],
  ['{"outputs":[{"name":"y","datatype":"FP32","shape":[-1],"data":[1]}]}', "outputs[0].shape[0]"],
  ['{"outputs":[{"name":"y","datatype":"FP32","shape":[0.5],"data":[1]}]}', "outputs[0].shape[0]"],
  ['{"outputs":[{"name":"y","datatype":"FP32","shape":[1]}]}', "outputs[0].data"],
  ["[]", "expected object"],
])("%s is said to be wrong, and where", (text, where) => {
  expect(() => readAnswer(text)).toThrow(where);
});

test.each([
  ["UINT8", "[256]"],
  ["INT8", "[1.5]"],
  ["INT64", '["1"]'],
  ["BOOL", "[1]"],
  ["BYTES", "[1]"],
  ["FP32", '["1"]'],
  ["FP16", "[1]"],
  ["INT32", "[null]"],
  ["FP32", "[1,2]"],
])("%s cannot hold %s", (datatype, data) => {
  expect(failure(() => readAnswer(answer(datatype, [1], data)))).toBe("runtime.failed");
});

test("metadata without inputs and outputs describes nothing", () => {
  expect(readMetadata('{"name":"m","inputs":[],"outputs":[]}')).toEqual({
    platform: "remote",
    version: "unknown",
    signature: null,
  });
});

test("whatever a remote says, it is read or a failure of the remote", () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ shape: fc.array(fc.nat(3)), data: fc.json() })
      .map(({ shape, data }) => answer("FP32", shape, data)),
  );
  fc.assert(
    fc.property(text, (body) => {
      expect(["read", "runtime.failed"]).toContain(failure(() => readAnswer(body)));
      expect(["read", "runtime.failed"]).toContain(failure(() => readMetadata(body)));
    }),
  );
});
