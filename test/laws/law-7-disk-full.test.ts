/** Law 7: a rollback with the disk of the data folder full to the last byte. */
import { execFile, execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

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
/** A file system of its own: filling it up hurts nobody else. */
function mountSmallDisk(): void {
  mkdirSync(dataDir);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", dataDir], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (cause) {
    throw new Error(
      "this test fills up a small file system, and could not mount a tmpfs for it: " +
        "run it as root, or where `unshare --map-root-user --mount` is allowed",
      { cause },
    );
  }
}

/** Runs this file again where it may mount: in user and mount namespaces of its own. */
async function runInNamespaces(): Promise<string> {
  const vitest = join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs");
  const command = [process.execPath, vitest, "run", "--project", "laws", import.meta.filename];
  const args = ["--map-root-user", "--mount", ...command];
  // Root there is a stranger to the sockets of root here, and these results are told by this test.
  const env = {
    ...process.env,
    XDG_RUNTIME_DIR: folder,
    NO_COLOR: "1",
    TEST_RESULTS_FILE: undefined,
  };
  const { stdout } = await promisify(execFile)("unshare", args, { env });
  return stdout;
}

/** Writes until not one more byte fits, neither on the disk nor in what the logs have of it. */
function fillUp(): void {
  fill(ballast);
  const logs = join(dataDir, "logs");
  for (const name of readdirSync(logs)) fill(join(logs, name));
}

function fill(path: string): void {
  const handle = openSync(path, "a");
  try {
    for (let size = 1024 * 1024; size >= 1;) {
      try {
        writeSync(handle, Buffer.alloc(size, "\n"));
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(handle);
  }
}

function testInNamespaces(): void {
  test("a rollback with the disk full, in a user namespace where the disk can be made", async () => {
    try {
      expect(await runInNamespaces()).toContain("2 passed");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
}

function testAsRoot(): void {
  let server: TestServer;
  // Undone in this order, however far the test came.
  const cleanUps: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];

  beforeAll(async () => {
    mountSmallDisk();
    cleanUps.unshift(() => execFileSync("umount", ["--lazy", dataDir]));
    server = await startServer({ dataDir });
    cleanUps.unshift(() => server.end());
    await deployIris(server);
  });

  afterAll(async () => {
    for (const cleanUp of cleanUps) await cleanUp();
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
    const before = await settledOn(server, "v1.1");
    fillUp();
    const { answer } = await typeRollback(server);
    expect(answer).toMatchObject({ to: { version: "v1.0" }, verified: true, durable: true });
    for (const pid of server.pids.gateway) process.kill(pid, "SIGKILL");
    await until("the gateway serves again", async () => {
      const versions = await answeringVersions(server, 2);
      return !versions.some((version) => version.startsWith("failed"));
    });
    expect(await answeringVersions(server)).toEqual(["v1.0"]);
    // What the store cannot take in yet is no reason to do without the gateway.
    for (let times = 0; times < 10; times += 1) {
      const again = await typeRollback(server);
      expect(again.answer).toMatchObject({ to: { version: "v1.0" }, already: true });
    }
    rmSync(ballast);
    const { history } = await settledOn(server, "v1.0", 30_000);
    expect(rollbacksIn(history)).toHaveLength(rollbacksIn(before.history).length + 1);
  });
}

const define = process.getuid?.() === 0 ? testAsRoot : testInNamespaces;
define();
