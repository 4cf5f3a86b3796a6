import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import type { VersionStatus } from "../../core/version/index.ts";
import { useEnvironment } from "../../link/environment/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";
import { GarbageCollector } from "./garbage-collector.ts";

const HOUR_MS = 3_600_000;
let dataDir: string;
let versions: Map<string, VersionRecord[]>;
let reach: Map<number, string>;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "lastgood-gc-"));
  versions = new Map();
  reach = new Map();
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function digestOf(number: number): string {
  return `sha256:${String(number).padStart(64, "0")}`;
}

function collector(laterMs = 0): GarbageCollector {
  return new GarbageCollector({
    dataDir,
    clock: { now: () => Date.now() + laterMs },
    versionsOf: (digest) => Promise.resolve(versions.get(digest) ?? []),
    withinReach: (_, sequence) =>
      Promise.resolve([reach.get(sequence)].filter((each) => each !== undefined)),
    log: { info: () => undefined },
  });
}

function make(folder: string): Promise<void> {
  return Promise.resolve(writeFileSync(join(folder, "x"), "12345"));
}

/** A version of `fraud` that used the environment of some requirements. */
async function used(requirements: number, sequence: number, status: VersionStatus | null) {
  const version = digestOf(100 + sequence);
  // What a record says beyond this is not looked at.
  const record = { model: "fraud", name: `v${sequence}`, sequence, status } as VersionRecord;
  if (status !== null) versions.set(version, [record]);
  const of = { requirements: `sha256:${String(requirements).padStart(16, "0")}`, version };
  return useEnvironment(dataDir, of, { make, timeoutMs: 1_000 });
}

test("what only versions out of reach used is removed, once it is asked for", async () => {
  const needless = await used(1, 1, "failed");
  const shared = await used(2, 2, "archived");
  const alsoShared = await used(2, 3, "stable");
  const pending = await used(3, 4, "pending");
  const serving = await used(4, 5, "failed");
  for (const each of [needless, shared, alsoShared, pending, serving]) each.release();
  reach.set(5, "fraud-prod serves it");

  const expected = {
    removed: [{ kind: "environment", versions: ["fraud@v1"], why: "fraud@v1 is failed" }],
    kept: [
      { why: "fraud@v3 is stable" },
      { why: "fraud@v4 is pending" },
      { why: "fraud@v5: fraud-prod serves it" },
    ],
  };
  expect(await collector().collect({ dryRun: true })).toMatchObject({ dryRun: true, ...expected });
  expect(existsSync(needless.folder)).toBe(true);
  const collected = await collector().collect({ dryRun: false });
  expect(collected).toMatchObject({ dryRun: false, ...expected });
  expect(collected.bytes).toBe(5);
  expect(existsSync(needless.folder)).toBe(false);
  expect([alsoShared, pending, serving].map(({ folder }) => existsSync(folder))).toEqual([
    true,
    true,
    true,
  ]);
});

test("what is in use stays, whatever its versions came to", async () => {
  const environment = await used(1, 1, "archived");
  expect(await collector().collect({ dryRun: false })).toMatchObject({
    removed: [],
    kept: [{ why: "it is in use" }],
  });
  environment.release();
  expect((await collector().collect({ dryRun: false })).removed).toHaveLength(1);
});

test("a version that is being registered is in no store yet: what it uses stays for an hour", async () => {
  (await used(1, 1, null)).release();
  expect((await collector().collect({ dryRun: false })).kept).toMatchObject([
    { why: "a version that uses it may be about to be registered" },
  ]);
  expect((await collector(2 * HOUR_MS).collect({ dryRun: false })).removed).toMatchObject([
    { why: "no registered version uses it" },
  ]);
});

test("an installation that was cut short goes", async () => {
  const folder = join(dataDir, "environments", "00000000000000ff");
  mkdirSync(folder, { recursive: true });
  utimesSync(folder, 0, 0);
  expect((await collector().collect({ dryRun: false })).removed).toHaveLength(1);
  expect(existsSync(folder)).toBe(false);
});
