import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { listEnvironments, removeEnvironment, useEnvironment } from "./environment.ts";

const requirements = `sha256:${"a1".repeat(32)}`;
const name = "a1".repeat(8);
const version = `sha256:${"b2".repeat(32)}`;
const another = `sha256:${"c3".repeat(32)}`;

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "lastgood-environments-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function refuse(): Promise<void> {
  return Promise.reject(new Error("no such package"));
}

/** An environment of one file; counts how often it is made. */
function maker() {
  const made = { times: 0 };
  const make = (folder: string): Promise<void> => {
    made.times += 1;
    writeFileSync(join(folder, "library"), "0123456789");
    return Promise.resolve();
  };
  return { made, how: { make, timeoutMs: 5_000 } };
}

test("it is made once for all versions that need it, and knows them", async () => {
  const { made, how } = maker();
  const first = await useEnvironment(dataDir, { requirements, version }, how);
  const second = await useEnvironment(dataDir, { requirements, version: another }, how);
  expect(made.times).toBe(1);
  expect(second.folder).toBe(first.folder);
  const [found] = await listEnvironments(dataDir);
  expect(found?.name).toBe(name);
  expect(found?.versions.toSorted()).toEqual([version, another]);
  expect(found?.bytes).toBeGreaterThanOrEqual(10);
  expect(Math.abs((found?.usedAt ?? 0) - Date.now())).toBeLessThan(60_000);
});

test("whoever uses it keeps it; nobody does, and nothing is left of it", async () => {
  const { how } = maker();
  const first = await useEnvironment(dataDir, { requirements, version }, how);
  const second = await useEnvironment(dataDir, { requirements, version }, how);
  first.release();
  expect(await removeEnvironment(dataDir, name)).toBe("in use");
  expect(existsSync(join(first.folder, "library"))).toBe(true);
  second.release();
  expect(await removeEnvironment(dataDir, name)).toBe("removed");
  expect(readdirSync(join(dataDir, "environments"))).toEqual([`${name}.lock`]);
});

test("a user that was killed keeps nothing", async () => {
  const module = JSON.stringify(resolve(import.meta.dirname, "environment.ts"));
  const script = `
    const { writeFileSync } = require("node:fs");
    const make = async (folder) => writeFileSync(folder + "/library", "");
    require(${module})
      .useEnvironment(${JSON.stringify(dataDir)}, ${JSON.stringify({ requirements, version })}, { make, timeoutMs: 5000 })
      .then(() => console.log("used"));
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  expect(await removeEnvironment(dataDir, name)).toBe("in use");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await removeEnvironment(dataDir, name)).toBe("removed");
});

test("while it is made it is not removed, and a second user waits for it", async () => {
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let times = 0;
  const make = async (): Promise<void> => {
    times += 1;
    begun.resolve();
    await gate.promise;
  };
  const first = useEnvironment(dataDir, { requirements, version }, { make, timeoutMs: 5_000 });
  const second = useEnvironment(dataDir, { requirements, version }, { make, timeoutMs: 5_000 });
  await begun.promise;
  expect(await removeEnvironment(dataDir, name)).toBe("being made");
  gate.resolve();
  await Promise.all([first, second]);
  expect(times).toBe(1);
});

test("one whose making failed or was cut short is made anew, and may be removed", async () => {
  const failing = { make: refuse, timeoutMs: 5_000 };
  await expect(useEnvironment(dataDir, { requirements, version }, failing)).rejects.toThrow(
    "no such",
  );
  expect(await listEnvironments(dataDir)).toMatchObject([{ name, versions: [] }]);
  const { made, how } = maker();
  (await useEnvironment(dataDir, { requirements, version }, how)).release();
  expect(made.times).toBe(1);
  expect(await removeEnvironment(dataDir, name)).toBe("removed");
  expect(await listEnvironments(dataDir)).toEqual([]);
});
