import { createHash } from "node:crypto";
import { createReadStream, openAsBlob, readFileSync, statSync, type Stats } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";

import type { LastgoodClient } from "../../client/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { parseDigest, type Digest } from "../../core/version/index.ts";

/** One file of a model on this machine. */
export interface ModelFile {
  /** Path inside the version, `/` between folders. */
  readonly name: string;
  /** Where it lies here. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

const MAX_FILES = 1_000;
const MAX_JSON_BYTES = 64 * 1024 * 1024;
/** From this size on an upload is announced, bytes. */
const ANNOUNCED_BYTES = 8 * 1024 * 1024;

/** A folder, and the real paths of those it lies in. */
interface FolderBelow {
  readonly name: string;
  readonly within: readonly string[];
}

/**
 * The file, or every file below the folder (hidden ones left out), with digests; a link is what it leads to.
 * @throws `usage.invalid` when there is nothing to read, or a link leads nowhere or to what it lies in.
 */
export async function listModelFiles(path: string): Promise<ModelFile[]> {
  const stat = statOf(path);
  const names = stat.isDirectory() ? await filesBelow(path) : [""];
  if (names.length === 0) throw unreadable(path, "the folder holds no files");
  if (names.length > MAX_FILES) throw unreadable(path, `more than ${MAX_FILES} files`);
  const files: ModelFile[] = [];
  for (const name of names) {
    const full = name === "" ? path : join(path, name);
    const { size } = statOf(full);
    const digest = await digestOf(full);
    files.push({ name: name === "" ? basename(path) : name, path: full, size, digest });
  }
  return files;
}

/** Names of the files below a folder; what a link points at is a file or a folder like any other. */
async function filesBelow(folder: string): Promise<string[]> {
  const names: string[] = [];
  const folders: FolderBelow[] = [{ name: "", within: [] }];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const { name, within } = next;
    const real = await readable(join(folder, name), (path) => realpath(path));
    if (within.includes(real))
      throw unreadable(join(folder, name), "it is a link to what it is in");
    for (const entry of await readable(join(folder, name), (path) => readdir(path))) {
      if (entry.startsWith(".")) continue;
      const below = name === "" ? entry : `${name}/${entry}`;
      if (statOf(join(folder, below)).isDirectory())
        folders.push({ name: below, within: [...within, real] });
      else names.push(below);
    }
    if (names.length > MAX_FILES) break;
  }
  return names.toSorted();
}

/** What is read of a path. @throws `usage.invalid` where this user may not, or the disk cannot. */
async function readable<T>(path: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path);
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause));
  }
}

async function digestOf(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  await readable(path, () => pipeline(createReadStream(path), hash));
  return parseDigest(`sha256:${hash.digest("hex")}`);
}

function statOf(path: string): Stats {
  try {
    const stat = statSync(path);
    if (stat.isFile() || stat.isDirectory()) return stat;
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause));
  }
  throw unreadable(path, "it is neither a file nor a folder");
}

function unreadable(path: string, why: string): LastgoodError {
  return new LastgoodError("usage.invalid", `${path} cannot be registered: ${why}`, {
    hint: "give the path of an .onnx file, or of a folder with everything that belongs to the model",
  });
}

/**
 * Sends the bytes of each file; the server's digest has to be the one computed here. `onLarge` is
 * called before one that takes a while.
 * @throws `artifact.corrupt` when the bytes changed on the way or while they were read.
 */
export async function uploadFiles(
  client: LastgoodClient,
  files: readonly ModelFile[],
  onLarge: (file: ModelFile) => void,
): Promise<void> {
  for (const file of files) {
    if (file.size >= ANNOUNCED_BYTES) onLarge(file);
    const stored = await client.upload(await openAsBlob(file.path));
    if (stored.digest === file.digest) continue;
    throw new LastgoodError(
      "artifact.corrupt",
      `${file.path} changed while it was uploaded: ${file.digest} here, ${stored.digest} at the server`,
      { hint: "register it again once nothing writes to it" },
    );
  }
}

/** @throws `usage.invalid` when the file cannot be read or is not JSON. */
export function readJsonFile(path: string): unknown {
  try {
    const text = readFileSync(path);
    if (text.length > MAX_JSON_BYTES) throw new Error(`longer than ${MAX_JSON_BYTES} bytes`);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("usage.invalid", `${path} is not a JSON file: ${why}`, {
      hint: 'an input example looks like {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}',
      cause,
    });
  }
}
