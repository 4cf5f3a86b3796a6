import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { ModelFacts, StatusFacts } from "../protocol/index.ts";
import { status } from "./status.ts";

const protocol = "tfserving" as const;
const v1 = { label: "v1.0", sequence: 1, ready: true };
const v2 = { label: "v1.1", sequence: 2, ready: false };
const model: ModelFacts = {
  endpoint: "iris",
  versions: ["v1.0"],
  loaded: [v1, v2],
  shown: v1,
  platform: "onnx",
  ready: false,
  contract: {
    inputs: [{ name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 4] }],
    outputs: [
      { name: "label", kind: "tensor", dtype: "BYTES", shape: [-1] },
      { name: "scores", kind: "maps", keyDtype: "INT64", valueDtype: "FP64" },
    ],
  },
};
const facts: StatusFacts = { ready: true, build: "0.1.0", endpoints: ["iris", "x"], model };

function answer(kind: "model" | "model-ready", version: string | null = null): unknown {
  const { status: code, body } = status({ kind, protocol, endpoint: "iris", version }, facts);
  return [code, JSON.parse(String(body))];
}

test("a model's status lists its versions by number, or the one that is asked for", () => {
  const ok = { error_code: "OK", error_message: "" };
  const first = { version: "1", state: "AVAILABLE", status: ok };
  const second = { version: "2", state: "LOADING", status: ok };
  const named = { name: "iris", ready: false };
  expect(answer("model-ready")).toEqual([200, { ...named, model_version_status: [first, second] }]);
  expect(answer("model-ready", "v1.0")).toEqual([200, { ...named, model_version_status: [first] }]);
});

function dim(...sizes: string[]): unknown {
  return { dim: sizes.map((size) => ({ size, name: "" })), unknown_rank: false };
}

test("metadata is the contract in TensorFlow's words", () => {
  expect(answer("model")).toEqual([
    200,
    {
      model_spec: { name: "iris", signature_name: "", version: "1" },
      metadata: {
        signature_def: {
          signature_def: {
            serving_default: {
              inputs: { x: { dtype: "DT_FLOAT", tensor_shape: dim("-1", "4"), name: "x" } },
              outputs: {
                label: { dtype: "DT_STRING", tensor_shape: dim("-1"), name: "label" },
                scores: { dtype: "DT_DOUBLE", tensor_shape: dim("-1", "-1"), name: "scores" },
              },
              method_name: "tensorflow/serving/predict",
            },
          },
        },
      },
    },
  ]);
});

test("the list of models, and nothing else", () => {
  expect(status({ kind: "models", protocol }, facts).body).toBe('{"models":["iris","x"]}');
  expect(() => status({ kind: "live", protocol }, facts)).toThrow(LastgoodError);
  const address = { kind: "model", protocol, endpoint: "iris", version: null } as const;
  expect(() => status(address, { ...facts, model: null })).toThrow(LastgoodError);
});
