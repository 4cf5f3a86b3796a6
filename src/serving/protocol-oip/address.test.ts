import { expect, test } from "vitest";

import { addressMatcher } from "../protocol/index.ts";
import { address } from "./address.ts";

const match = addressMatcher([{ address }]);
const oip = { protocol: "oip" } as const;

test.each([
  ["GET", "/v2", { kind: "server", ...oip }],
  ["GET", "/v2/", { kind: "server", ...oip }],
  ["GET", "/v2/health/live", { kind: "live", ...oip }],
  ["HEAD", "/v2/health/ready", { kind: "ready", ...oip }],
  ["GET", "/v2/models", { kind: "models", ...oip }],
  ["GET", "/v2/models/fraud", { kind: "model", endpoint: "fraud", version: null, ...oip }],
  [
    "GET",
    "/v2/models/fraud/versions/v1.1",
    { kind: "model", endpoint: "fraud", version: "v1.1", ...oip },
  ],
  [
    "GET",
    "/v2/models/fraud/ready",
    { kind: "model-ready", endpoint: "fraud", version: null, ...oip },
  ],
  [
    "GET",
    "/v2/models/fraud/versions/%233/ready",
    { kind: "model-ready", endpoint: "fraud", version: "#3", ...oip },
  ],
  ["POST", "/v2/models/fraud/infer", { kind: "infer", endpoint: "fraud", version: null, ...oip }],
  [
    "POST",
    "/v2/models/fraud/versions/2/infer",
    { kind: "infer", endpoint: "fraud", version: "2", ...oip },
  ],
  ["GET", "/v2/models/fraud/infer", { kind: "method-not-allowed", protocol: "oip", allow: "POST" }],
  ["POST", "/v2", { kind: "method-not-allowed", protocol: "oip", allow: "GET, HEAD" }],
  ["GET", "/v2/health", null],
  ["GET", "/v2/health/live/now", null],
  ["GET", "/v2/models/fraud/config", null],
  ["GET", "/v2/models/fraud/stats", null],
  ["GET", "/v2/models/fraud/versions", null],
  ["POST", "/v2/models/fraud/versions/1/infer/x", null],
  ["POST", "/v2/models/fraud/infer/x", null],
  ["POST", "/v2/repository/index", null],
  ["GET", "/v1/models/fraud", null],
  ["POST", "/v2/models/..%2Ffraud/infer", null],
  ["POST", "/v2/models/../infer", null],
])("%s %s names %j", (method, path, expected) => {
  expect(match(method, path)).toEqual(expected);
});
