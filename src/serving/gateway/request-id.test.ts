import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { requestIdKey, RequestIds } from "./request-id.ts";

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
