import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { checkpointFrom } from "./checkpoint.ts";

let folder: string;
let kills: number;
const kill = (): void => {
  kills++;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-checkpoint-"));
  kills = 0;
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function pass(env: NodeJS.ProcessEnv, ...names: readonly string[]): void {
  const checkpoint = checkpointFrom(env, kill);
  for (const name of names) checkpoint(name);
}

test("without its variables a checkpoint does nothing", () => {
  pass({}, "a", "b");
  expect(kills).toBe(0);
});

test("the process dies at the named point, once", () => {
  pass({ LASTGOOD_CRASH_AT: "b" }, "a", "b", "b");
  expect(kills).toBe(1);
});

test("a point can be named by its nth time", () => {
  pass({ LASTGOOD_CRASH_AT: "b#3" }, "b", "b");
  expect(kills).toBe(0);
  pass({ LASTGOOD_CRASH_AT: "b#3" }, "b", "b", "b");
  expect(kills).toBe(1);
});

test("with a flag only the first process dies", () => {
  const env = { LASTGOOD_CRASH_AT: "a", LASTGOOD_CRASH_FLAG: join(folder, "died") };
  pass(env, "a");
  pass(env, "a");
  expect(kills).toBe(1);
});

test("a trace holds every point in order", () => {
  const trace = join(folder, "trace");
  pass({ LASTGOOD_CRASH_TRACE: trace }, "a", "b", "a");
  expect(readFileSync(trace, "utf8")).toBe("a\nb\na\n");
  expect(kills).toBe(0);
});
