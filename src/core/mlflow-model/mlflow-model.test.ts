import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../errors/index.ts";
import { parseMlflowModel } from "./mlflow-model.ts";
import { signatureFromMlflow, takesArrays } from "./mlflow-signature.ts";

const COLUMNS =
  '[{"type": "double", "name": "amount", "required": true}, {"type": "string", "name": "city"}]';
const TENSOR = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]';
const NAMED = '[{"type": "double", "name": "a"}]';
const UNNAMED = '[{"type": "double"}, {"type": "double"}]';
const LABEL = '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]';

const ONNX = {
  artifact_path: "mlflow-artifacts:/1/models/m-1/artifacts",
  flavors: {
    onnx: { code: null, data: "model.onnx", onnx_version: "1.23.2" },
    python_function: { data: "model.onnx", loader_module: "mlflow.onnx" },
  },
  metadata: { team: "risk", depth: 3 },
  mlflow_version: "3.17.2",
  model_id: "m-1",
  model_uuid: "m-1",
  run_id: "f69",
  saved_input_example_info: {
    artifact_path: "input_example.json",
    serving_input_path: "serving_input_example.json",
    type: "ndarray",
  },
  signature: { inputs: TENSOR, outputs: LABEL, params: null },
};

test("an ONNX model says which file it is, where it comes from, and what it takes", () => {
  const model = parseMlflowModel(ONNX);
  expect(model).toMatchObject({
    flavors: ["onnx", "python_function"],
    onnxFile: "model.onnx",
    inputExample: {
      path: "input_example.json",
      servingPath: "serving_input_example.json",
      type: "ndarray",
    },
    lineage: { run: "f69", mlflow_model: "m-1", mlflow_version: "3.17.2" },
    tags: {
      "mlflow.flavors": "onnx, python_function",
      "mlflow.metadata.team": "risk",
      "mlflow.metadata.depth": "3",
    },
  });
  expect(model.signature === null ? null : signatureFromMlflow(model.signature)).toEqual({
    inputs: [{ name: "input", kind: "tensor", dtype: "FP32", shape: [-1, 4] }],
    outputs: [{ name: "predictions", kind: "tensor", dtype: "INT64", shape: [-1], nameless: true }],
  });
});

test.each([
  ["arrays", TENSOR, true],
  ["columns", COLUMNS, false],
  ["nothing", "[]", false],
])("a model of %s is told apart", (_, inputs, expected) => {
  const { signature } = parseMlflowModel({ flavors: {}, signature: { inputs } });
  expect(signature !== null && takesArrays(signature)).toBe(expected);
});

test("columns become one tensor each", () => {
  const { signature } = parseMlflowModel({
    flavors: { sklearn: {} },
    signature: { inputs: COLUMNS, outputs: LABEL },
  });
  expect(signature === null ? null : signatureFromMlflow(signature)?.inputs).toEqual([
    { name: "amount", kind: "tensor", dtype: "FP64", shape: [-1] },
    { name: "city", kind: "tensor", dtype: "BYTES", shape: [-1] },
  ]);
});

test.each([
  ["a column that may be left out", '[{"type": "double", "name": "a", "required": false}]'],
  ["an object", '[{"type": "object", "name": "a", "properties": {"b": {"type": "long"}}}]'],
  ["a list", '[{"type": "array", "name": "a", "items": {"type": "long"}}]'],
  ["a vector of Spark", '[{"type": "sparkml vector", "name": "a"}]'],
  ["no columns", "[]"],
])("a signature with %s is not said in our words, and the model is still read", (_, inputs) => {
  const { signature } = parseMlflowModel({ flavors: {}, signature: { inputs, outputs: LABEL } });
  expect(signature).not.toBeNull();
  expect(signature === null ? null : signatureFromMlflow(signature)).toBeNull();
});

test.each([
  ["no outputs", { inputs: NAMED, outputs: null }],
  ["an empty list of outputs", { inputs: NAMED, outputs: "[]" }],
  ["inputs without names", { inputs: UNNAMED, outputs: LABEL }],
  ["outputs without names", { inputs: NAMED, outputs: UNNAMED }],
  ["an output that may hold anything", { inputs: NAMED, outputs: '[{"type": "any"}]' }],
  [
    "parameters",
    { inputs: NAMED, outputs: LABEL, params: '[{"name": "k", "type": "double", "default": 1.0}]' },
  ],
])("a signature with %s promises more than our words can hold", (_, said) => {
  const { signature } = parseMlflowModel({ flavors: {}, signature: said });
  expect(signature === null ? "none" : signatureFromMlflow(signature)).toBeNull();
});

test("a signature whose list of parameters is empty has none", () => {
  const said = { inputs: NAMED, outputs: LABEL, params: "[]" };
  const { signature } = parseMlflowModel({ flavors: {}, signature: said });
  expect(signature === null ? null : signatureFromMlflow(signature)).not.toBeNull();
});

test("a model without signature, example or run is read as it is (MLflow 1)", () => {
  expect(
    parseMlflowModel({ flavors: { sklearn: { pickled_model: "model.pkl" } }, run_id: null }),
  ).toEqual({
    flavors: ["sklearn"],
    onnxFile: null,
    signature: null,
    inputExample: null,
    lineage: {},
    tags: { "mlflow.flavors": "sklearn" },
  });
});

test.each([
  ["nothing", null],
  ["no flavours", {}],
  ["an ONNX flavour without its file", { flavors: { onnx: {} } }],
  ["a signature that is no JSON", { flavors: {}, signature: { inputs: "[" } }],
  ["a signature that is no list", { flavors: {}, signature: { inputs: '{"a": 1}' } }],
])("refused with its reason: %s", (_, document) => {
  expect(() => parseMlflowModel(document)).toThrow(
    expect.objectContaining({
      code: "artifact.invalid",
      message: expect.stringContaining("MLmodel") as string,
    }),
  );
});

function codeOf(document: unknown): string {
  try {
    const { signature } = parseMlflowModel(document);
    if (signature !== null) signatureFromMlflow(signature);
    return "read";
  } catch (error) {
    return LastgoodError.from(error).code;
  }
}

test("whatever stands there is read or refused, never anything else", () => {
  const nearly = fc.record(
    {
      flavors: fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.jsonValue())),
      signature: fc.record({ inputs: fc.json(), outputs: fc.json() }),
      metadata: fc.dictionary(fc.string(), fc.jsonValue()),
      run_id: fc.oneof(fc.string(), fc.integer()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(nearly, fc.jsonValue()), (document) => {
      expect(["read", "artifact.invalid"]).toContain(codeOf(document));
    }),
  );
});
