import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { readRequestId, requestIdKey, RequestIds } from "./request-id.ts";

test("an id names endpoint, revision, minute and worker, and its tag is the HMAC of them", () => {
  const ids = new RequestIds("key", "iris.prod.7", 3);
  const id = ids.next(120_000);
  const parts = id.split(".");
  expect(parts.slice(0, -2).join(".")).toBe("iris.prod.7.2.3");
  const tag = createHmac("sha256", "key").update("iris.prod.7.2.3").digest().subarray(0, 12);
  expect(parts.at(-2)).toBe(tag.toString("base64url"));
});

test("ids differ within a minute, across minutes, and after a restart within the minute", () => {
  const before = new RequestIds("key", "e.1", 0);
  const given = Array.from({ length: 500 }, (_, index) => before.next(60_000 + index));
  const after = new RequestIds("key", "e.1", 0);
  given.push(...Array.from({ length: 500 }, () => after.next(60_600)), after.next(120_000));
  expect(new Set(given).size).toBe(1_001);
});

test("the key is made once, readable by its owner alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "lg-key-"));
  try {
    const path = join(folder, "keys", "request-id.key");
    const key = requestIdKey(path);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(requestIdKey(path)).toBe(key);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("an id is read back, also of an endpoint whose name has dots and numbers", () => {
  const ways = ["assigned", "targeted", "probe", "fallback"] as const;
  for (const way of ways) {
    const id = new RequestIds("key", "iris.2.prod.7", 3, way).next(120_000);
    expect(readRequestId("key", id)).toEqual({
      id: { endpoint: "iris.2.prod", revision: 7, minute: 2, way },
      why: null,
    });
  }
});

test("an id that was altered, made with another key or by somebody else is refused", () => {
  const id = new RequestIds("key", "iris.7", 3, "targeted").next(120_000);
  const altered = [
    id.replace("iris.7", "iris.8"),
    id.replace(".2.3t.", ".3.3t."),
    id.replace(".3t.", ".3."),
  ];
  for (const text of altered) {
    expect(readRequestId("key", text).why).toMatch(/was not made by this server/);
  }
  expect(readRequestId("other key", id).why).toMatch(/was not made by this server/);
  for (const text of ["", "iris", "1.2.3.4.5.6.7", `${id}x`, "a".repeat(1_000), id.slice(0, -3)]) {
    expect(readRequestId("key", text).why).toMatch(/is not a request id|was not made/);
  }
});
