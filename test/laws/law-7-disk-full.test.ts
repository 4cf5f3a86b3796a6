/** Law 7: a rollback with the disk of the data folder full to the last byte. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import {
  answeringVersions,
  deployIris,
  goForward,
  irisLoad,
  rollbacksIn,
  settledOn,
  typeRollback,
} from "../support/iris-endpoint.ts";
import { startServer, until, type TestServer } from "../support/server.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-full-"));
const dataDir = join(folder, "data");
const ballast = join(dataDir, "ballast");
let server: TestServer;

/** A file system of its own: filling it up hurts nobody else. */
function mountSmallDisk(): void {
  mkdirSync(dataDir);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", dataDir], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `this test needs a small file system to fill up, and could not mount a tmpfs: ${why}\n` +
        "run it as root, or in a user namespace of its own: unshare -rm npm run test:laws",
      { cause },
    );
  }
}

/** Writes until not one more byte fits. */
function fillUp(): void {
  const handle = openSync(ballast, "a");
  try {
    for (let size = 1024 * 1024; size >= 1;) {
      try {
        writeSync(handle, Buffer.alloc(size));
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(handle);
  }
}

beforeAll(async () => {
  mountSmallDisk();
  server = await startServer({ dataDir });
  await deployIris(server);
});

afterAll(async () => {
  try {
    // The mount point itself cannot be removed before it is unmounted.
    await server.end();
  } finally {
    execFileSync("umount", ["-l", dataDir]);
    rmSync(folder, { recursive: true, force: true });
  }
});

test("with the disk full a rollback happens at once, and is in history once there is space again", async () => {
  const before = await settledOn(server, "v1.1");
  const load = irisLoad(server, 16);
  await until("there is load", () => load.answers.length > 100);
  fillUp();
  const { answer } = await typeRollback(server, "--reason", "not a byte left");
  expect(answer).toMatchObject({
    from: { version: "v1.1" },
    to: { version: "v1.0" },
    warm: true,
    verified: true,
    failedRequests: 0,
    already: false,
  });
  expect(await answeringVersions(server)).toEqual(["v1.0"]);
  const switchedAt = load.answers.length;
  await until("requests go on", () => load.answers.length > switchedAt + 200);
  expect(load.failures).toEqual([]);
  rmSync(ballast);
  const after = await settledOn(server, "v1.0", 30_000);
  const added = rollbacksIn(after.history).slice(rollbacksIn(before.history).length);
  expect(added).toMatchObject([{ actor: "tester", reason: "not a byte left" }]);
  await load.stop();
  expect(load.failures).toEqual([]);
  // Durable in the end: killed and started again it serves what it was rolled back to.
  server.killAll();
  await until("everything is gone", () => server.processes.length === 0);
  await server.start();
  const again = await settledOn(server, "v1.0");
  expect(again.history).toEqual(after.history);
  await goForward(server);
});

test("killed while the disk is full it starts again on the rolled back version", async () => {
  await settledOn(server, "v1.1");
  fillUp();
  const { answer } = await typeRollback(server);
  expect(answer).toMatchObject({ to: { version: "v1.0" }, verified: true, durable: true });
  for (const pid of server.pids.gateway) process.kill(pid, "SIGKILL");
  await until("the gateway serves again", async () => {
    const versions = await answeringVersions(server, 2);
    return !versions.some((version) => version.startsWith("failed"));
  });
  expect(await answeringVersions(server)).toEqual(["v1.0"]);
  rmSync(ballast);
  await settledOn(server, "v1.0", 30_000);
});
