import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { readServerFile } from "./server-file.ts";

test("a folder that this user may not look into is not taken for one without a server", () => {
  const folder = mkdtempSync(join(tmpdir(), "lastgood-server-file-"));
  expect(readServerFile(folder)).toBeNull();
  chmodSync(folder, 0o000);
  const isRoot = process.geteuid?.() === 0;
  try {
    // Whom no mode keeps out has to become somebody else for a moment.
    if (isRoot) process.seteuid?.(65_534);
    expect(() => readServerFile(folder)).toThrow(`may not look into the data folder ${folder}`);
  } finally {
    if (isRoot) process.seteuid?.(0);
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  }
});
