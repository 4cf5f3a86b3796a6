import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { blobPath, parseDigest, type ArtefactFile } from "../../core/version/index.ts";
import { layOut, removeFolder } from "./version-folder.ts";

const dataDir = mkdtempSync(join(tmpdir(), "lastgood-folder-"));
afterAll(() => rmSync(dataDir, { recursive: true }));

function stored(path: string, content: string): ArtefactFile {
  const digest = parseDigest(`sha256:${createHash("sha256").update(content).digest("hex")}`);
  const blob = join(dataDir, blobPath(digest));
  mkdirSync(dirname(blob), { recursive: true });
  writeFileSync(blob, content);
  return { path, digest, size: content.length };
}

test("a version's files lie where it has them, read-only, and go away again", async () => {
  const folder = join(dataDir, "run", "a");
  const files = [stored("MLmodel", "flavors"), stored("code/inner/x.py", "x = 1")];
  await layOut(dataDir, files, folder);
  // What is left of a predecessor is replaced.
  await layOut(dataDir, files, folder);
  expect(readFileSync(join(folder, "code/inner/x.py"), "utf8")).toBe("x = 1");
  for (const path of ["MLmodel", "code", "code/inner", "code/inner/x.py"])
    expect(statSync(join(folder, path)).mode & 0o222).toBe(0);
  await removeFolder(folder);
  expect(existsSync(folder)).toBe(false);
  await removeFolder(folder);
});

test("bytes that are not what was registered are not served", async () => {
  const bad = stored("weights.json", "good");
  appendFileSync(join(dataDir, blobPath(bad.digest)), "!");
  await expect(layOut(dataDir, [bad], join(dataDir, "run", "b"))).rejects.toMatchObject({
    code: "artifact.corrupt",
  });
  rmSync(join(dataDir, blobPath(bad.digest)));
  await expect(layOut(dataDir, [bad], join(dataDir, "run", "b"))).rejects.toMatchObject({
    code: "artifact.missing",
  });
  await removeFolder(join(dataDir, "run", "b"));
});

test("files that cannot be written say nothing of what was registered", async () => {
  const folder = join(dataDir, "run", "c");
  const files = [stored("code", "a file"), stored("code/x.py", "x = 1")];
  await expect(layOut(dataDir, files, folder)).rejects.toMatchObject({
    code: "runtime.failed",
    message: expect.stringContaining("code/x.py cannot be laid out") as string,
  });
  await removeFolder(folder);
});
