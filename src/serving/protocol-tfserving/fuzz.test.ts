import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { DTYPES, type DType } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";

function single(dtype: DType): Signature {
  return { inputs: [{ name: "x", kind: "tensor", dtype, shape: [-1, 2] }], outputs: [] };
}
const several: Signature = {
  inputs: [
    { name: "a", kind: "tensor", dtype: "INT64", shape: [-1, 1] },
    { name: "b", kind: "tensor", dtype: "BYTES", shape: [-1] },
  ],
  outputs: [],
};
const anyContract = fc.constantFrom(...DTYPES.map(single), several);

/** `read` or `refused` with a 4xx; anything else is a failure. */
function outcome(body: Buffer, contract: Signature): string {
  try {
    const call = decode({ contentType: null, inferenceHeaderLength: null, body }, contract);
    const isWhole = call.inputs.every(({ shape, data }) => {
      const count = shape.reduce((product, axis) => product * axis, 1);
      return count > 0 && data.length === count;
    });
    return isWhole && call.inputs.length === contract.inputs.length ? "read" : "malformed";
  } catch (error) {
    if (!(error instanceof LastgoodError)) throw error;
    const { http } = error.traits;
    return http >= 400 && http < 500 ? "refused" : `status ${http}`;
  }
}

test("arbitrary bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), anyContract, (bytes, contract) => {
      expect(["read", "refused"]).toContain(outcome(Buffer.from(bytes), contract));
    }),
  );
});

test("arbitrary JSON under either form is read or refused", () => {
  const cell = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(1, null, "a", true, { b64: "YQ==" }, { b64: "/w==" }, { b64: [] }),
  );
  const value = fc.oneof(
    fc.jsonValue(),
    fc.array(fc.array(cell, { maxLength: 3 }), { maxLength: 3 }),
    fc.array(fc.dictionary(fc.constantFrom("a", "b", "x", "b64", "__proto__"), cell)),
  );
  fc.assert(
    fc.property(
      fc.constantFrom("instances", "inputs"),
      value,
      anyContract,
      (form, given, contract) => {
        const body = Buffer.from(JSON.stringify({ [form]: given }));
        expect(["read", "refused"]).toContain(outcome(body, contract));
      },
    ),
    { numRuns: 1000 },
  );
});

test("numbers go through both forms unchanged", () => {
  const numbers = fc.array(fc.double({ noDefaultInfinity: true, noNaN: true }), {
    minLength: 1,
    maxLength: 20,
  });
  const contract: Signature = {
    inputs: [{ name: "x", kind: "tensor", dtype: "FP64", shape: [-1] }],
    outputs: [],
  };
  fc.assert(
    fc.property(numbers, fc.constantFrom("instances", "inputs"), (given, form) => {
      const body = Buffer.from(JSON.stringify({ [form]: given }));
      const call = decode({ contentType: null, inferenceHeaderLength: null, body }, contract);
      const answer = encode(call.inputs, {
        endpoint: "e",
        version: "v",
        signature: { inputs: [], outputs: [] },
        call,
      });
      const { predictions, outputs } = JSON.parse(String(answer.body)) as Record<string, number[]>;
      // JSON.stringify gives 0 for -0.
      expect((predictions ?? outputs)?.map((each) => each + 0)).toEqual(
        given.map((each) => each + 0),
      );
    }),
  );
});
