import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { addressMatcher } from "../protocol/index.ts";
import { address } from "./address.ts";
import { encodeError } from "./error.ts";

const match = addressMatcher([{ address }]);
const protocol = "tfserving" as const;

function infer(version: string | null = null): unknown {
  return { kind: "infer", protocol, endpoint: "m", version };
}
function asked(kind: "model" | "model-ready", version: string | null = null): unknown {
  return { kind, protocol, endpoint: "m", version };
}

test.each([
  ["GET", "/v1/models", { kind: "models", protocol }],
  ["GET", "/v1/models/m", asked("model-ready")],
  ["GET", "/v1/models/m/versions/2", asked("model-ready", "2")],
  ["GET", "/v1/models/m/labels/canary", asked("model-ready", "canary")],
  ["GET", "/v1/models/m/metadata", asked("model")],
  ["GET", "/v1/models/m/versions/v1.1/metadata", asked("model", "v1.1")],
  ["GET", "/v1/models/m/labels/stable/metadata", asked("model", "stable")],
  ["POST", "/v1/models/m:predict", infer()],
  ["POST", "/v1/models/m%3Apredict", infer()],
  ["POST", "/v1/models/m/versions/2:predict", infer("2")],
  ["POST", "/v1/models/m/labels/stable:predict", infer("stable")],
  ["GET", "/v1/models/m:predict", { kind: "method-not-allowed", protocol, allow: "POST" }],
  ["POST", "/v1/models/m", { kind: "method-not-allowed", protocol, allow: "GET, HEAD" }],
  ["POST", "/v1/models/m:train", null],
  ["POST", "/v1/models/m:metadata", null],
  ["POST", "/v1/models/:predict", null],
  ["POST", "/v1/models/m:predict/metadata", null],
  ["POST", "/v1/models/m:predict/versions/1", null],
  ["POST", "/v1/models/m/versions/1:predict/metadata", null],
  ["POST", "/v1/models/m/versions", null],
  ["POST", "/v1/models/m/versions/1/ready", null],
  ["POST", "/v1/models/m/versions/1/metadata/x", null],
  ["GET", "/v1/models/m/other", null],
  ["GET", "/v1/chat", null],
  ["GET", "/v1", null],
  ["GET", "/v2/models/m", null],
])("%s %s names %j", (method, path, expected) => {
  expect(match(method, path)).toEqual(expected);
});

test.each(["classify", "regress", "explain"])(":%s is refused by design", (verb) => {
  for (const path of [`/v1/models/m:${verb}`, `/v1/models/m/versions/1:${verb}`]) {
    expect(match("POST", path)).toMatchObject({
      kind: "unsupported",
      why: expect.stringContaining(`:${verb} is not served`) as string,
    });
  }
});

test("an error is a text under `error` with the status of its code", () => {
  expect(encodeError(new LastgoodError("route.not-found", "why", { hint: "do" }))).toEqual({
    status: 404,
    headers: { "content-type": "application/json" },
    body: '{"error":"why (do)"}',
  });
  expect(encodeError(new LastgoodError("protocol.unsupported", "no")).status).toBe(501);
  expect(encodeError(LastgoodError.from(new Error("/secret"))).body).not.toContain("secret");
});
