import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { StatusFacts } from "../protocol/index.ts";
import { encodeError } from "./error.ts";
import { status } from "./status.ts";

const facts: StatusFacts = {
  ready: true,
  build: "0.1.0",
  endpoints: ["fraud", "iris"],
  model: {
    endpoint: "iris",
    versions: ["v1.0", "v1.1"],
    loaded: [],
    shown: null,
    platform: "onnx",
    ready: false,
    contract: {
      inputs: [{ name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 4] }],
      outputs: [
        { name: "label", kind: "tensor", dtype: "INT64", shape: [-1] },
        { name: "scores", kind: "maps", keyDtype: "INT64", valueDtype: "FP32" },
      ],
    },
  },
};

function answer(kind: "live" | "ready" | "server" | "models", given = facts): unknown {
  const { status: code, body } = status({ kind, protocol: "oip" }, given);
  return [code, JSON.parse(String(body))];
}

function modelAnswer(kind: "model" | "model-ready", given = facts): unknown {
  const address = { kind, protocol: "oip", endpoint: "iris", version: null } as const;
  const { status: code, body } = status(address, given);
  return [code, JSON.parse(String(body))];
}

test("the server says that it lives, is ready, what it is and what it serves", () => {
  expect(answer("live", { ...facts, ready: false })).toEqual([200, { live: true }]);
  expect(answer("ready")).toEqual([200, { ready: true }]);
  expect(answer("ready", { ...facts, ready: false })).toEqual([503, { ready: false }]);
  expect(answer("server")).toEqual([
    200,
    { name: "lastgood", version: "0.1.0", extensions: ["binary_tensor_data"] },
  ]);
  expect(answer("models")).toEqual([200, { models: ["fraud", "iris"] }]);
});

test("a model's metadata is its contract, maps as the matrix they are answered as", () => {
  expect(modelAnswer("model")).toEqual([
    200,
    {
      name: "iris",
      versions: ["v1.0", "v1.1"],
      platform: "onnx",
      inputs: [{ name: "x", datatype: "FP32", shape: [-1, 4] }],
      outputs: [
        { name: "label", datatype: "INT64", shape: [-1] },
        { name: "scores", datatype: "FP32", shape: [-1, -1] },
      ],
    },
  ]);
  expect(modelAnswer("model-ready")).toEqual([503, { name: "iris", ready: false }]);
});

test("a model question without a model is endpoint.not-found", () => {
  expect(() => modelAnswer("model", { ...facts, model: null })).toThrow(
    "no endpoint is served under this name",
  );
});

test("errors are JSON with one text, and what is internal stays inside", () => {
  const shown = encodeError(new LastgoodError("request.invalid", "wrong", { hint: "do this" }));
  expect(shown).toEqual({
    status: 400,
    headers: { "content-type": "application/json" },
    body: '{"error":"wrong (do this)"}',
  });
  const hidden = encodeError(LastgoodError.from(new Error("/secret/path")));
  expect(hidden.status).toBe(500);
  expect(hidden.body).not.toContain("secret");
});
