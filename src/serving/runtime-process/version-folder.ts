import { createHash } from "node:crypto";
import { constants, createReadStream, existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import { blobPath, type ArtefactFile } from "../../core/version/index.ts";

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest("hex")}`;
}

async function copyVerified(source: string, file: ArtefactFile, path: string): Promise<void> {
  const details = { path: source, digest: file.digest };
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Where the file system can, the two share their bytes until one is written to.
    await copyFile(source, path, constants.COPYFILE_FICLONE);
  } catch (cause) {
    const failure = LastgoodError.from(cause);
    // A full disk, or a path below a file, says nothing of what is stored.
    if (!existsSync(source))
      throw new LastgoodError("artifact.missing", `the bytes of ${file.path} are not there`, {
        cause,
        details,
      });
    throw new LastgoodError(
      "runtime.failed",
      `${file.path} cannot be laid out: ${failure.message}`,
      { cause, details },
    );
  }
  // What is hashed is what the server will read.
  const found = await digestOf(path);
  if (found !== file.digest)
    throw new LastgoodError("artifact.corrupt", `${file.path} does not match its digest`, {
      details: { ...details, found },
      hint: "register the version's files again, or restore them from a backup",
    });
  await chmod(path, 0o444);
}

/**
 * Lays a version's files out in a new folder, each one verified, read-only: copies, so that nothing a
 * server does to them reaches what was registered.
 * @throws `artifact.missing`, `artifact.corrupt`; `runtime.failed` where they cannot be written.
 */
export async function layOut(
  dataDir: string,
  files: readonly ArtefactFile[],
  folder: string,
): Promise<void> {
  await removeFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const folders = new Set([folder]);
  for (const file of files) {
    const path = join(folder, file.path);
    await copyVerified(join(dataDir, blobPath(file.digest)), file, path);
    for (let up = dirname(path); up.length > folder.length; up = dirname(up)) folders.add(up);
  }
  for (const each of folders) await chmod(each, 0o555);
}

/** Removes a folder that was laid out; one that is not there is no error. */
export async function removeFolder(folder: string): Promise<void> {
  await makeWritable(folder);
  await rm(folder, { recursive: true, force: true });
}

async function makeWritable(folder: string): Promise<void> {
  try {
    await chmod(folder, 0o700);
    for (const entry of await readdir(folder, { withFileTypes: true }))
      if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
  } catch {
    // It is not there, or going.
  }
}
