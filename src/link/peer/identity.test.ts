import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { identitySchema, ownIdentity } from "./identity.ts";
import { socketFolder } from "./socket-folder.ts";

let folder: string;
const runtimeBefore = process.env["XDG_RUNTIME_DIR"];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lg-"));
  process.env["XDG_RUNTIME_DIR"] = folder;
});

afterEach(() => {
  if (runtimeBefore === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = runtimeBefore;
  rmSync(folder, { recursive: true, force: true });
});

test("an identity is what its schema says, and new at every start", () => {
  const first = ownIdentity("model", "build", "fraud-prod/1", "sha256:x");
  expect(identitySchema.parse(JSON.parse(JSON.stringify(first)))).toEqual(first);
  expect(ownIdentity("model", "build", "fraud-prod/1").nonce).not.toBe(first.nonce);
});

test("sockets lie in a folder of their own that nobody else may enter", () => {
  const data = join(folder, "data");
  mkdirSync(data);
  const sockets = socketFolder(data);
  expect(sockets).toMatch(new RegExp(`^${folder}/lastgood/[0-9a-f]{8}$`));
  expect(statSync(sockets).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, "lastgood")).mode & 0o777).toBe(0o700);
});

test("one data folder has one socket folder, by whatever path it is named", () => {
  const data = join(folder, "data");
  mkdirSync(data);
  symlinkSync(data, join(folder, "link"));
  expect(socketFolder(join(folder, "link"))).toBe(socketFolder(data));
  mkdirSync(join(folder, "other"));
  expect(socketFolder(join(folder, "other"))).not.toBe(socketFolder(data));
});

test("a socket's path fits into 107 bytes, however long the names are", () => {
  const long = join(folder, "x".repeat(200));
  mkdirSync(long);
  process.env["XDG_RUNTIME_DIR"] = long;
  const sockets = socketFolder(long);
  closeTo(sockets);
  expect(join(sockets, "m-ffffffff-ffffffff.sock").length).toBeLessThanOrEqual(107);
});

/** What a test made outside its folder goes with it. */
function closeTo(sockets: string): void {
  rmSync(sockets, { recursive: true, force: true });
}
