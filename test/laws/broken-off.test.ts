/** A command that is broken off, or whose answer cannot be written, says so and leaves nothing running. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.destroy());

test("what is watched ends once nobody reads it any more", async () => {
  for (const args of [
    ["status", "--watch"],
    ["status", "--watch", "--json"],
  ]) {
    const ended = await server.cli(args, {}, (child) => {
      child.stdout?.once("data", () => child.stdout?.destroy());
    });
    expect(ended).toMatchObject({ code: 130, stderr: "" });
  }
});

test("an answer that a full disk did not take is an error", async () => {
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [join(server.dist, "cli.cjs"), "status", "--json"], {
    env: { ...process.env, LASTGOOD_DATA_DIR: server.dataDir, LASTGOOD_URL: "" },
    stdio: ["ignore", full, "pipe"],
  });
  closeSync(full);
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(stderr).toContain("error: the answer could not be written: ENOSPC");
  expect(code).toBe(1);
});

test("Ctrl-C in the middle of the demo ends its server and takes its data away", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lastgood-broken-off-"));
  try {
    let child: ChildProcess | null = null;
    const telling = server.cli(["demo", "--rate", "20"], { TMPDIR: folder }, (made) => {
      child = made;
      made.stdout?.on("data", (chunk: Buffer) => {
        if (chunk.toString().includes("Every answer is checked")) child?.kill("SIGINT");
      });
    });
    const ended = await telling;
    expect(ended.stderr).toContain("stopped\n");
    expect(ended.code).toBe(130);
    expect(readdirSync(folder).filter((name) => name.startsWith("lastgood-demo-"))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
