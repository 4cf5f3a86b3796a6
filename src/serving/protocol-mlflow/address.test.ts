import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { addressMatcher, type StatusFacts } from "../protocol/index.ts";
import { address } from "./address.ts";
import { encodeError } from "./error.ts";
import { status } from "./status.ts";

const match = addressMatcher([{ address }]);
const ready = { kind: "model-ready", protocol: "mlflow", endpoint: null, version: null } as const;

test.each([
  ["GET", "/ping", ready],
  ["GET", "/health", ready],
  ["GET", "/version", { kind: "version", protocol: "mlflow" }],
  ["POST", "/invocations", { kind: "infer", protocol: "mlflow", endpoint: null, version: null }],
  [
    "POST",
    "/endpoints/fraud/invocations",
    { kind: "infer", protocol: "mlflow", endpoint: "fraud", version: null },
  ],
  ["GET", "/invocations", { kind: "method-not-allowed", protocol: "mlflow", allow: "POST" }],
  ["POST", "/ping", { kind: "method-not-allowed", protocol: "mlflow", allow: "GET, HEAD" }],
  ["POST", "/endpoints/fraud", null],
  ["POST", "/endpoints//invocations", null],
  ["POST", "/endpoints/a%2Fb/invocations", null],
  ["POST", "/invocations/x", null],
  ["GET", "/", null],
])("%s %s names %j", (method, path, expected) => {
  expect(match(method, path)).toEqual(expected);
});

const facts: StatusFacts = { ready: false, build: "0.1.0", endpoints: ["fraud"], model: null };
const model = {
  endpoint: "fraud",
  versions: ["v1"],
  loaded: [],
  shown: null,
  platform: "onnx",
  ready: true,
  contract: { inputs: [], outputs: [] },
};

test("ping is a line break: 200 while the default endpoint is ready, else 404", () => {
  expect(status(ready, { ...facts, model })).toMatchObject({ status: 200, body: "\n" });
  expect(status(ready, { ...facts, model: { ...model, ready: false } }).status).toBe(404);
  expect(status(ready, facts).status).toBe(404);
});

test("version is the plain text of an MLflow below 3.4", () => {
  const { body } = status({ kind: "version", protocol: "mlflow" }, facts);
  expect(body).toMatch(/^3\.[0-3]\.\d+$/);
  expect(() => status({ kind: "models", protocol: "mlflow" }, facts)).toThrow(LastgoodError);
});

test.each([
  ["request.invalid", 400, "BAD_REQUEST"],
  ["endpoint.not-found", 404, "RESOURCE_DOES_NOT_EXIST"],
  ["route.not-found", 404, "ENDPOINT_NOT_FOUND"],
  ["body.too-large", 413, "BAD_REQUEST"],
  ["overloaded", 429, "REQUEST_LIMIT_EXCEEDED"],
  ["runtime.failed", 500, "INTERNAL_ERROR"],
  ["runtime.unavailable", 503, "TEMPORARILY_UNAVAILABLE"],
  ["runtime.timeout", 504, "DEADLINE_EXCEEDED"],
] as const)("%s is %i %s", (code, http, name) => {
  expect(encodeError(new LastgoodError(code, "why", { hint: "do" }))).toEqual({
    status: http,
    headers: { "content-type": "application/json" },
    body: `{"error_code":"${name}","message":"why (do)"}`,
  });
});

test("a content type that is not accepted is plain text, and what is internal stays inside", () => {
  expect(encodeError(new LastgoodError("content-type.unsupported", "no"))).toEqual({
    status: 415,
    headers: { "content-type": "text/plain" },
    body: "no",
  });
  expect(encodeError(LastgoodError.from(new Error("/secret"))).body).not.toContain("secret");
});
