import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  allocate,
  DTYPES,
  ELEMENT_BYTES,
  type DType,
  type Tensor,
} from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import type { Call } from "../protocol/index.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";

function spec(dtype: DType): Signature["inputs"][number] {
  return { name: dtype, kind: "tensor", dtype, shape: [-1, 2] };
}
const every: Signature = { inputs: DTYPES.map(spec), outputs: [spec("FP32")] };
const pair: Signature = { inputs: [spec("FP32"), spec("INT64")], outputs: [spec("FP32")] };

const text = fc.string({ unit: "grapheme" });

function textTensor(name: string): fc.Arbitrary<Tensor> {
  return fc
    .array(fc.tuple(text, text), { minLength: 1, maxLength: 4 })
    .map((rows) => ({ name, dtype: "BYTES", shape: [rows.length, 2], data: rows.flat() }));
}

/** Any bit pattern of a type; JSON carries the finite ones only. */
function numberTensor(dtype: Exclude<DType, "BYTES">, finite: boolean): fc.Arbitrary<Tensor> {
  const rowBytes = ELEMENT_BYTES[dtype] * 2;
  return fc
    .integer({ min: 1, max: 4 })
    .chain((rows) => fc.uint8Array({ minLength: rows * rowBytes, maxLength: rows * rowBytes }))
    .map((bytes) => {
      const data = allocate(dtype, bytes.length / ELEMENT_BYTES[dtype]);
      const raw = new Uint8Array(data.buffer);
      raw.set(dtype === "BOOL" ? bytes.map((byte) => byte & 1) : bytes);
      if (finite && (data instanceof Float32Array || data instanceof Float64Array)) {
        data.forEach((value, index) => {
          if (!Number.isFinite(value)) data[index] = -0;
        });
      }
      return { name: dtype, dtype, shape: [data.length / 2, 2], data };
    });
}

function anyTensor(dtype: DType, finite: boolean): fc.Arbitrary<Tensor> {
  return dtype === "BYTES" ? textTensor(dtype) : numberTensor(dtype, finite);
}

/** A tensor as an answer, read again as a request: the two have the same tensor form. */
function roundTrip(tensor: Tensor, binary: boolean): Tensor | undefined {
  const call: Call = {
    inputs: [],
    id: null,
    requestedOutputs: null,
    form: { kind: "oip", outputs: null, binary },
  };
  const { headers, body } = encode([tensor], {
    endpoint: "e",
    version: "v1",
    signature: { inputs: [], outputs: [] },
    call,
  });
  const length = headers["inference-header-content-length"] ?? null;
  const bytes = Buffer.from(body);
  const json = bytes.subarray(0, length === null ? bytes.length : Number(length));
  const head = Buffer.from(json.toString().replace('"outputs":', '"inputs":'));
  const request = {
    contentType: null,
    inferenceHeaderLength: length === null ? null : String(head.length),
    body: Buffer.concat([head, bytes.subarray(json.length)]),
  };
  return decode(request, { ...every, inputs: [spec(tensor.dtype)] }).inputs[0];
}

test.each(DTYPES)("%s comes back from the binary form as it went", (dtype) => {
  fc.assert(
    fc.property(anyTensor(dtype, false), (tensor) => {
      expect(roundTrip(tensor, true)).toEqual(tensor);
    }),
  );
});

test.each(DTYPES.filter((dtype) => dtype !== "FP16"))(
  "%s comes back from JSON as it went",
  (dtype) => {
    fc.assert(
      fc.property(anyTensor(dtype, true), (tensor) => {
        expect(roundTrip(tensor, false)).toEqual(tensor);
      }),
    );
  },
);

/** `read` or `refused` with a 4xx; anything else is a failure. */
function outcome(body: Buffer, inferenceHeaderLength: string | null): string {
  try {
    const call = decode({ contentType: null, inferenceHeaderLength, body }, pair);
    const whole = call.inputs.every(
      ({ name, shape, data }, index) =>
        name === pair.inputs[index]?.name &&
        data.length === shape.reduce((product, axis) => product * axis, 1),
    );
    return whole && call.inputs.length === pair.inputs.length ? "read" : "malformed";
  } catch (error) {
    if (!(error instanceof LastgoodError)) throw error;
    const { http } = error.traits;
    return http >= 400 && http < 500 ? "refused" : `status ${http}`;
  }
}

const anyLength = fc.oneof(
  fc.constant(null),
  fc.string(),
  fc.integer({ min: -1, max: 300 }).map(String),
);

test("arbitrary bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), anyLength, (bytes, length) => {
      expect(["read", "refused"]).toContain(outcome(Buffer.from(bytes), length));
    }),
  );
});

test("arbitrary JSON in every place of a request is read or refused", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      "FP32",
      "INT64",
      [1, 2],
      [[1, 2]],
      { binary_data_size: 8 },
      [-1],
      1e300,
    ),
  );
  const member = fc.record(
    {
      name: fc.constantFrom("FP32", "INT64", "__proto__"),
      datatype: value,
      shape: value,
      data: value,
      parameters: value,
    },
    { requiredKeys: ["name"] },
  );
  const root = fc.record(
    {
      id: value,
      parameters: value,
      inputs: fc.oneof(value, fc.array(member)),
      outputs: fc.oneof(value, fc.array(member)),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(root, anyLength, (body, length) => {
      expect(["read", "refused"]).toContain(outcome(Buffer.from(JSON.stringify(body)), length));
    }),
    { numRuns: 500 },
  );
});

const valid = Buffer.from(
  '{"id":"1","inputs":[{"name":"FP32","datatype":"FP32","shape":[1,2],"data":[0.5,-1e3]},' +
    '{"name":"INT64","datatype":"INT64","shape":[1,2],"parameters":{"binary_data_size":16}}],' +
    '"outputs":[{"name":"FP32","parameters":{"binary_data":true}}]}',
);
const validBody = Buffer.concat([valid, Buffer.alloc(16, 1)]);

test("a valid request with bytes changed, cut out or put in is read or refused", () => {
  expect(outcome(validBody, String(valid.length))).toBe("read");
  const at = fc.nat(validBody.length);
  fc.assert(
    fc.property(at, fc.nat(3), fc.uint8Array({ maxLength: 3 }), (from, cut, put) => {
      const parts = [validBody.subarray(0, from), put, validBody.subarray(from + cut)];
      expect(["read", "refused"]).toContain(outcome(Buffer.concat(parts), String(valid.length)));
    }),
    { numRuns: 1000 },
  );
});

test("JSON nested ten thousand deep is refused in every place", () => {
  const deep = "[".repeat(10_000) + "]".repeat(10_000);
  const places = [
    deep,
    `{"inputs":${deep}}`,
    `{"inputs":[{"name":"FP32","datatype":"FP32","shape":${deep},"data":[1]}]}`,
    `{"inputs":[{"name":"FP32","datatype":"FP32","shape":[1,2],"data":${deep}}]}`,
    `{"inputs":[{"name":"INT64","datatype":"INT64","shape":[1,2],"data":[9007199254740993,${deep}]}]}`,
    `{"id":${deep},"inputs":[]}`,
  ];
  for (const place of places) {
    const body = Buffer.from(place);
    const request = { contentType: null, inferenceHeaderLength: null, body };
    expect(() => decode(request, pair)).toThrow(LastgoodError);
  }
});
