import fc from "fast-check";
import { expect, test } from "vitest";

import { addressMatcher } from "./address-matcher.ts";
import { pathSegments, protocolOfPath, type PathResource } from "./address.ts";

const invocations: PathResource = {
  method: "POST",
  address: { kind: "infer", protocol: "mlflow", endpoint: null, version: null },
};
const match = addressMatcher([
  { address: (segments) => (segments.join("/") === "invocations" ? invocations : null) },
]);

test("a known path with its method gives its address", () => {
  expect(match("POST", "/invocations")).toBe(invocations.address);
  expect(match("POST", "/invocations/")).toBe(invocations.address);
  expect(match("GET", "/healthz")).toEqual({ kind: "healthz" });
  expect(match("HEAD", "/readyz")).toEqual({ kind: "readyz" });
});

test("another method on a known path is method-not-allowed with what is allowed", () => {
  const post = { kind: "method-not-allowed", protocol: "mlflow", allow: "POST" };
  expect(match("GET", "/invocations")).toEqual(post);
  expect(match("DELETE", "/invocations")).toEqual(post);
  const get = { kind: "method-not-allowed", protocol: null, allow: "GET, HEAD" };
  expect(match("POST", "/healthz")).toEqual(get);
  expect(match("PUT", "/healthz")).toEqual(get);
});

test("an unknown path is null, also after many of them", () => {
  for (let index = 0; index < 3000; index += 1) expect(match("GET", `/x${index}`)).toBeNull();
  expect(match("POST", "/invocations")).toBe(invocations.address);
});

test.each([
  ["", null],
  ["x", null],
  ["//", null],
  ["/a//b", null],
  ["/a/../b", null],
  ["/a/./b", null],
  ["/a/%2e%2e/b", null],
  ["/a/%2E/b", null],
  ["/a%2Fb", null],
  ["/a%5cb", null],
  ["/a%00b", null],
  ["/a%0ab", null],
  ["/a%", null],
  ["/a%ff", null],
  [`/${"a".repeat(3000)}`, null],
  ["/", null],
  ["/a", ["a"]],
  ["/a/", ["a"]],
  ["/a%20b/%C3%BC", ["a b", "ü"]],
  ["/%252e%252e", ["%2e%2e"]],
])("the segments of %j are %j", (path, segments) => {
  expect(pathSegments(path)).toEqual(segments);
});

test("no path gives a segment that leaves its folder", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webPath()), (path) => {
      for (const segment of pathSegments(`/${path}`) ?? []) {
        expect(segment).not.toMatch(/[/\\\0]|^\.{0,2}$/);
      }
    }),
  );
});

test("unknown paths below /v2 are answered as the Open Inference Protocol does", () => {
  expect(protocolOfPath("/v2/models/x/config")).toBe("oip");
  expect(protocolOfPath("/v2")).toBe("oip");
  expect(protocolOfPath("/v20")).toBe("mlflow");
});
