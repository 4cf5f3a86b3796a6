import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue } from "../../core/tensor/index.ts";
import type { AnswerForm, ProtocolAnswer } from "../protocol/index.ts";
import { encode } from "./encode.ts";

const label: OutputValue = {
  name: "label",
  dtype: "INT64",
  shape: [2],
  data: BigInt64Array.of(9_007_199_254_740_993n, -1n),
};
const scores: OutputValue = {
  name: "scores",
  kind: "maps",
  keys: ["no", 'y"es'],
  values: Float32Array.of(0.5, 0.25, 1, -0),
  rows: 2,
};

function answer(
  outputs: readonly OutputValue[],
  form: Extract<AnswerForm, { readonly kind: "oip" }>,
  id: string | null = null,
): ProtocolAnswer {
  const requestedOutputs = form.outputs?.map((output) => output.name) ?? null;
  const call = { inputs: [], id, requestedOutputs, form };
  return encode(outputs, {
    endpoint: "iris",
    version: "v1.1",
    signature: { inputs: [], outputs: [] },
    call,
  });
}
const json = { kind: "oip", outputs: null, binary: false } as const;

test("an answer names endpoint, version, id and every output with flat data", () => {
  expect(answer([label, scores], json, 'a"b')).toEqual({
    status: 200,
    headers: { "content-type": "application/json" },
    body:
      '{"model_name":"iris","model_version":"v1.1","id":"a\\"b","outputs":[' +
      '{"name":"label","datatype":"INT64","shape":[2],"data":[9007199254740993,-1]},' +
      '{"name":"scores","datatype":"FP32","shape":[2,2],"parameters":{"labels":["no","y\\"es"]},"data":[0.5,0.25,1,-0]}]}',
  });
});

test.each<[OutputValue, string]>([
  [{ name: "o", dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) }, "[false,true]"],
  [{ name: "o", dtype: "BYTES", shape: [1, 2], data: ["a", '"'] }, '["a","\\""]'],
  [{ name: "o", dtype: "FP16", shape: [2], data: Uint16Array.of(0x3c00, 0xc100) }, "[1,-2.5]"],
  [{ name: "o", dtype: "FP64", shape: [], data: Float64Array.of(0.1) }, "[0.1]"],
  [
    { name: "o", dtype: "FP32", shape: [2], data: Float32Array.of(0.1, 1e-7) },
    "[0.10000000149011612,1.0000000116860974e-7]",
  ],
  [
    { name: "o", dtype: "FP64", shape: [3], data: Float64Array.of(NaN, Infinity, -Infinity) },
    "[NaN,Infinity,-Infinity]",
  ],
  [{ name: "o", dtype: "FP32", shape: [0], data: new Float32Array(0) }, "[]"],
])("the data of %j is %s", (output, data) => {
  expect(answer([output], json).body).toContain(`"data":${data}}`);
});

test("only the outputs asked for are there, in that order", () => {
  const outputs = [
    { name: "scores", binary: false },
    { name: "label", binary: false },
  ];
  const body = JSON.parse(String(answer([label, scores], { ...json, outputs }).body));
  expect(body.outputs.map((output: { name: string }) => output.name)).toEqual(["scores", "label"]);
  const missing = { ...json, outputs: [{ name: "gone", binary: false }] };
  expect(() => answer([label], missing)).toThrow(LastgoodError);
});

test("binary outputs follow the JSON, whose length the header says", () => {
  const texts: OutputValue = { name: "t", dtype: "BYTES", shape: [2], data: ["x", "ü"] };
  const outputs = [
    { name: "t", binary: true },
    { name: "label", binary: false },
    { name: "scores", binary: true },
  ];
  const { headers, body } = answer([label, scores, texts], { ...json, outputs });
  const length = Number(headers["inference-header-content-length"]);
  const bytes = Buffer.from(body);
  expect(headers["content-type"]).toBe("application/octet-stream");
  expect(JSON.parse(bytes.subarray(0, length).toString().replace("9007199254740993", "1"))).toEqual(
    {
      model_name: "iris",
      model_version: "v1.1",
      outputs: [
        { name: "t", datatype: "BYTES", shape: [2], parameters: { binary_data_size: 11 } },
        { name: "label", datatype: "INT64", shape: [2], data: [1, -1] },
        {
          name: "scores",
          datatype: "FP32",
          shape: [2, 2],
          parameters: { labels: ["no", 'y"es'], binary_data_size: 16 },
        },
      ],
    },
  );
  expect(bytes.subarray(length)).toEqual(
    Buffer.concat([
      Buffer.from("\x01\0\0\0x\x02\0\0\0\xc3\xbc", "latin1"),
      Buffer.from(Float32Array.of(0.5, 0.25, 1, -0).buffer),
    ]),
  );
});
