import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterAll, expect, test } from "vitest";

import { startProgram } from "./startup.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-startup-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const program = join(folder, "program.cjs");
writeFileSync(
  program,
  `const { readStartup } = require(${JSON.stringify(resolve(import.meta.dirname, "startup.ts"))});
   const config = readStartup();
   const { readFileSync } = require("node:fs");
   const shown = readFileSync("/proc/self/cmdline", "utf8").split("\\0").slice(-2, -1);
   const seen = readFileSync("/proc/self/cmdline", "utf8") + readFileSync("/proc/self/environ", "utf8");
   console.log(JSON.stringify({ length: config.text.length, shown, hidden: !seen.includes("hunter2") }));`,
);

test("a program finds what it is started with, however long; the list of processes does not show it", async () => {
  const path = join(folder, "output");
  const output = openSync(path, "w");
  const text = "hunter2".repeat(100_000);
  const child = startProgram({ program, shown: ["fraud/1"], config: { text }, output });
  closeSync(output);
  await once(child, "exit");
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
    length: text.length,
    shown: ["fraud/1"],
    hidden: true,
  });
});
