import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { takeKernelLock } from "./kernel-lock.ts";
import { listenerPid } from "./listener.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-lock-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a lock is held by one at a time and free again once it is released", () => {
  const path = join(folder, "below", "lock.sqlite");
  const lock = takeKernelLock(path);
  expect(lock).not.toBeNull();
  expect(takeKernelLock(path)).toBeNull();
  lock?.release();
  const next = takeKernelLock(path);
  expect(next).not.toBeNull();
  next?.release();
});

test("a lock ends with the process that holds it, however it ends, and not before", async () => {
  const path = join(folder, "other.sqlite");
  const script = join(folder, "hold.cjs");
  const module = resolve(import.meta.dirname, "kernel-lock.ts");
  writeFileSync(
    script,
    `require(${JSON.stringify(module)}).takeKernelLock(process.argv[2]);
     // Nothing refers to it any more.
     gc();
     process.stdout.write("held");
     setInterval(() => undefined, 1000);`,
  );
  const child = spawn(process.execPath, ["--expose-gc", script, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((held) => {
    child.stdout.once("data", held);
  });
  expect(takeKernelLock(path)).toBeNull();
  child.kill("SIGKILL");
  await vi.waitFor(
    () => {
      const lock = takeKernelLock(path);
      expect(lock).not.toBeNull();
      lock?.release();
    },
    { timeout: 10_000 },
  );
}, 20_000);

test("a file that is no lock is an error, not a lock that somebody holds", () => {
  const path = join(folder, "text.sqlite");
  writeFileSync(path, "this is not a database, and long enough to be looked at as one".repeat(20));
  expect(() => takeKernelLock(path)).toThrow(/not a database/);
});

test("the process that listens on a port is found", async () => {
  const server = createServer();
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  const { port } = server.address() as AddressInfo;
  const found = listenerPid(port);
  await new Promise((closed) => {
    server.close(closed);
  });
  expect(process.platform === "linux" ? found : process.pid).toBe(process.pid);
  expect(listenerPid(port)).toBeNull();
});
