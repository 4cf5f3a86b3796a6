import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { until } from "../../../test/support/server.ts";

let folder: string;
let file: string;
let child: ChildProcess;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lg-log-"));
  file = join(folder, "log");
});
afterEach(async () => {
  const ended = once(child, "exit");
  if (child.kill("SIGKILL")) await ended;
  rmSync(folder, { recursive: true, force: true });
});

const LOG = `
  const { processLog } = await import(${JSON.stringify(join(import.meta.dirname, "process-log.ts"))});
  const log = processLog("test")`;

function start(program: string, ...before: readonly string[]): void {
  const output = openSync(file, "a");
  const command = [...before, process.execPath, "--input-type=module", "--eval", program];
  child = spawn(command[0] ?? "", command.slice(1), {
    stdio: ["ignore", output, "inherit", "ipc"],
  });
  closeSync(output);
}

/** A process that logs four kilobytes a millisecond, and may write a file of one kilobyte. */
function startLogging(): void {
  const program = `${LOG};
    process.on("message", () => process.exit(0));
    let number = 0;
    setInterval(() => {
      for (let line = 0; line < 4; line += 1) log.info("x".repeat(1000));
      process.send((number += 4));
    }, 1);`;
  start(program, "bash", "-c", 'ulimit -f 1; exec "$@"', "bash");
}

test("a log that cannot be written ends nothing, and goes on where there is space again", async () => {
  startLogging();
  let logged = 0;
  child.on("message", (number) => {
    logged = Number(number);
  });
  // Twice what may wait.
  await until("the log is full", () => logged > 2500 || child.exitCode !== null, 20_000);
  expect(child.exitCode).toBeNull();
  for (let times = 0; times < 3; times += 1) {
    truncateSync(file);
    await until("it is written to again", () => readFileSync(file).length > 500, 10_000);
  }
  // With lines that wait for space for ever.
  const ended = once(child, "exit");
  child.send("end");
  expect(await ended).toEqual([0, null]);
});

test("what was logged right before the end is there", async () => {
  start(`${LOG}; for (const number of [1, 2, 3]) log.info({ number }, "é"); process.exit(0);`);
  await once(child, "exit");
  const lines = readFileSync(file, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject(
    [1, 2, 3].map((number) => ({ role: "test", number, msg: "é" })),
  );
});
