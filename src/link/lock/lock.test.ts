import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { takeKernelLock } from "./kernel-lock.ts";
import { listenerPid } from "./listener.ts";

let folder: string;
const closing: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-lock-"));
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true, force: true });
});

/** Another process that runs the program and says "ready" when it is done. */
async function other(program: string): Promise<ReturnType<typeof spawn>> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  closing.push(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

test("a lock that is held is taken by nobody else, and is free once it is released", async () => {
  const path = join(folder, "deep", "lock.sqlite");
  const lockModule = JSON.stringify(join(import.meta.dirname, "kernel-lock.ts"));
  const program = (then: string): string => `
    const { takeKernelLock } = await import(${lockModule});
    const lock = takeKernelLock(${JSON.stringify(path)});
    ${then}
  `;
  const own = takeKernelLock(path);
  expect(own).not.toBeNull();
  expect(existsSync(path)).toBe(true);
  const [refused] = await once(
    spawn(process.execPath, ["--input-type=module", "--eval", program("process.exit(lock === null ? 7 : 0)")]),
    "exit",
  );
  expect(refused).toBe(7);
  own?.release();
  const holder = await other(program('console.log("ready"); setInterval(() => lock, 1_000);'));
  expect(takeKernelLock(path), "held by another process").toBeNull();
  // However it ends, the kernel lets go.
  const gone = once(holder, "exit");
  holder.kill("SIGKILL");
  await gone;
  const again = takeKernelLock(path);
  expect(again).not.toBeNull();
  again?.release();
});

test("a lock whose file cannot be made is an error, not a lock that somebody holds", () => {
  expect(() => takeKernelLock(join("/proc", "nowhere", "lock.sqlite"))).toThrowError();
});

test("the pid that listens on a port is known, and of a free port nobody's", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  expect(listenerPid(port)).toBe(process.pid);
  server.close();
  await once(server, "close");
  expect(listenerPid(port)).toBeNull();
});
