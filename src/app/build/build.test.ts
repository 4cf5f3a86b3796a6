import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterAll, expect, test } from "vitest";

import { findPrograms } from "./programs.ts";
import { PROGRAM_VERSION } from "./version.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-build-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the program's version is the package's", () => {
  const path = resolve(import.meta.dirname, "../../../package.json");
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ version: PROGRAM_VERSION });
});

test("a build is told by its bytes, and a missing bundle is named", () => {
  expect(() => findPrograms(folder)).toThrow(/control\.cjs is missing/);
  for (const name of ["control", "gateway", "worker", "model", "shim"])
    writeFileSync(join(folder, `${name}.cjs`), name);
  const first = findPrograms(folder);
  expect(first.build).toMatch(new RegExp(`^${PROGRAM_VERSION}\\+[0-9a-f]{8}$`));
  expect(findPrograms(folder)).toEqual(first);
  writeFileSync(join(folder, "worker.cjs"), "changed");
  expect(findPrograms(folder).build).not.toBe(first.build);
});
