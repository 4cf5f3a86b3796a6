import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";

import {
  listEnvironments,
  removeEnvironment,
  removeUnfinished,
  useEnvironment,
} from "./environment.ts";

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

/** Another process that uses the environment once `make` has made it; says "used" then. */
function user(make: string) {
  const module = JSON.stringify(resolve(import.meta.dirname, "environment.ts"));
  const script = `
    const { writeFileSync } = require("node:fs");
    const make = async (folder) => { ${make} };
    require(${module})
      .useEnvironment(${JSON.stringify(dataDir)}, ${JSON.stringify({ requirements, version })}, { make, timeoutMs: 5000 })
      .then(() => console.log("used"));
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

test("a user that was killed keeps nothing", async () => {
  const child = user('writeFileSync(folder + "/library", "");');
  await once(child.stdout, "data");
  expect(await removeEnvironment(dataDir, name)).toBe("in use");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await removeEnvironment(dataDir, name)).toBe("removed");
});

test("what a killed installation has left is removed, and nothing that is made or stands", async () => {
  const standing = { requirements: `sha256:${"d4".repeat(32)}`, version };
  (await useEnvironment(dataDir, standing, maker().how)).release();
  // A removal that was killed leaves its folder under another name.
  const environments = join(dataDir, "environments");
  mkdirSync(join(environments, `${"e5".repeat(8)}.gone-1`, "lib"), { recursive: true });
  const child = user(`
    writeFileSync(folder + "/library", "");
    console.log("begun");
    await new Promise(() => undefined);`);
  await once(child.stdout, "data");
  await removeUnfinished(dataDir);
  expect(existsSync(join(environments, name, "library"))).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  await removeUnfinished(dataDir);
  const left = readdirSync(environments).filter((entry) => !entry.endsWith(".lock"));
  expect(left).toEqual(["d4".repeat(8)]);
  await removeUnfinished(join(dataDir, "there is none"));
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

test("one whose making failed leaves nothing on the disk, and is made anew", async () => {
  const failing = {
    make: (folder: string) => {
      writeFileSync(join(folder, "half"), "0123456789");
      return refuse();
    },
    timeoutMs: 5_000,
  };
  await expect(useEnvironment(dataDir, { requirements, version }, failing)).rejects.toThrow(
    "no such",
  );
  expect(readdirSync(join(dataDir, "environments"))).toEqual([`${name}.lock`]);
  const { made, how } = maker();
  (await useEnvironment(dataDir, { requirements, version }, how)).release();
  expect(made.times).toBe(1);
  expect(await removeEnvironment(dataDir, name)).toBe("removed");
  expect(await listEnvironments(dataDir)).toEqual([]);
});

/** Where an environment's files cannot be written. */
const obstacles: Readonly<Record<string, () => void>> = {
  "the folder of all": () => writeFileSync(join(dataDir, "environments"), ""),
  "the lock": () => mkdirSync(join(dataDir, "environments", `${name}.lock`), { recursive: true }),
};

test.each(Object.entries(obstacles))(
  "a disk that does not take %s refuses the version",
  async (_, put) => {
    put();
    await expect(
      useEnvironment(dataDir, { requirements, version }, maker().how),
    ).rejects.toMatchObject({
      code: "preflight.rejected",
      message: expect.stringContaining(join(dataDir, "environments")) as string,
      hint: expect.stringContaining("make room on the disk of the data folder") as string,
    });
  },
);

test.each([".lastgood-ready", ".lastgood-versions"])(
  "a disk that does not take %s refuses the version",
  async (inside) => {
    const make = (folder: string): Promise<void> => {
      if (inside === ".lastgood-ready") mkdirSync(join(folder, inside));
      else writeFileSync(join(folder, inside), "");
      return Promise.resolve();
    };
    const how = { make, timeoutMs: 5_000 };
    await expect(useEnvironment(dataDir, { requirements, version }, how)).rejects.toMatchObject({
      code: "preflight.rejected",
    });
  },
);

test("a version that has used it before starts on a disk that takes nothing more, one that gc would not know of does not", async () => {
  const { how } = maker();
  (await useEnvironment(dataDir, { requirements, version }, how)).release();
  const folder = join(dataDir, "environments", name);
  rmSync(join(folder, ".lastgood-users"), { recursive: true, force: true });
  writeFileSync(join(folder, ".lastgood-users"), "");
  const used = await useEnvironment(dataDir, { requirements, version }, how);
  expect(used.folder).toBe(folder);
  used.release();
  rmSync(join(folder, ".lastgood-versions"), { recursive: true });
  writeFileSync(join(folder, ".lastgood-versions"), "");
  const other = { requirements, version: `sha256:${"e".repeat(64)}` };
  await expect(useEnvironment(dataDir, other, how)).rejects.toMatchObject({
    code: "preflight.rejected",
  });
});
