import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { DTYPES, type DType } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { healthAddress, inferAddress } from "./address.ts";
import { decode } from "./decode.ts";
import { readOutputs } from "./encode.ts";
import { ModelInferRequestSchema } from "./inference_pb.ts";

function single(dtype: DType): Signature {
  return { inputs: [{ name: "x", kind: "tensor", dtype, shape: [-1, 2] }], outputs: [] };
}
const anyContract = fc.constantFrom(...DTYPES.map(single));

function outcome(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (!(error instanceof LastgoodError)) throw error;
    return error.code;
  }
  return "read";
}

function decoded(body: Buffer, contract: Signature): string {
  return outcome(() => decode({ contentType: null, inferenceHeaderLength: null, body }, contract));
}

const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each));

test("arbitrary bytes are read or the caller's mistake, wherever they are looked at", () => {
  fc.assert(
    fc.property(bytes, anyContract, (body, contract) => {
      const fine = ["read", "request.invalid"];
      expect(fine).toContain(decoded(body, contract));
      for (const look of [inferAddress, healthAddress, readOutputs])
        expect(fine).toContain(outcome(() => look(body)));
    }),
  );
});

test("a request with bytes changed, cut out or put in is read or refused", () => {
  const valid = Buffer.from(
    toBinary(
      ModelInferRequestSchema,
      create(ModelInferRequestSchema, {
        modelName: "m",
        inputs: [{ name: "x", datatype: "FP32", shape: [1n, 2n] }],
        rawInputContents: [new Uint8Array(8)],
      }),
    ),
  );
  const place = fc.nat({ max: valid.length });
  fc.assert(
    fc.property(place, fc.nat({ max: 4 }), bytes, (at, cut, put) => {
      const body = Buffer.concat([
        valid.subarray(0, at),
        put.subarray(0, 4),
        valid.subarray(at + cut),
      ]);
      expect(["read", "request.invalid"]).toContain(decoded(body, single("FP32")));
    }),
    { numRuns: 1000 },
  );
});

function message(modelName: string, modelVersion: string): Buffer {
  const init = { modelName, modelVersion, rawInputContents: [new Uint8Array(50)] };
  return Buffer.from(toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init)));
}

test("the endpoint and version are found wherever they stand, the last one counts", () => {
  expect(inferAddress(message("m", "v1"))).toMatchObject({ endpoint: "m", version: "v1" });
  expect(inferAddress(message("", ""))).toMatchObject({ endpoint: null, version: null });
  const twice = Buffer.concat([message("a", "v1"), message("b", "v2")]);
  expect(inferAddress(twice)).toMatchObject({ endpoint: "b", version: "v2" });
});
