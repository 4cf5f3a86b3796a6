import { randomBytes } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import { parseDigest, type Digest } from "../../core/version/index.ts";
import { takeKernelLock, type KernelLock } from "../lock/index.ts";

/*
 * `<data>/environments/<name>/`: one for all versions with the same requirements. Inside it, beside what the
 * installer made: `.lastgood-ready` (written last), `.lastgood-versions/<hex>` for each version that ever
 * used it (touched at each use), `.lastgood-users/<random>`, a kernel lock that a user holds while it lives.
 * `<name>.lock` beside it is held while it is made, taken by a user, or removed.
 */
const READY_FILE = ".lastgood-ready";
const VERSIONS = ".lastgood-versions";
const USERS = ".lastgood-users";
const LOCK_POLL_MS = 100;
/** What of a name says that the folder is on its way out. */
const GONE = ".gone-";
const NAME = /^[0-9a-f]{16}$/;
const HEX = /^[0-9a-f]{64}$/;

/** An environment as it is found. */
export interface Environment {
  readonly name: string;
  /** Digests of the versions that were seen to use it. */
  readonly versions: readonly Digest[];
  /** When a version last began to, ms since 1970; of one that none did, when it was begun. */
  readonly usedAt: number;
  readonly bytes: number;
}

/** A made environment that is not removed before `release`, or before this process ends. */
export interface UsedEnvironment {
  readonly folder: string;
  release(): void;
}

/** What became of a removal. */
export type Removal = "removed" | "in use" | "being made";

function environmentsFolder(dataDir: string): string {
  return join(dataDir, "environments");
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1);
}

async function patientLock(path: string, timeoutMs: number): Promise<KernelLock> {
  for (const until = performance.now() + timeoutMs; ; await sleep(LOCK_POLL_MS)) {
    const lock = takeKernelLock(path);
    if (lock !== null) return lock;
    if (performance.now() > until)
      throw new LastgoodError("runtime.timeout", "another process still makes this environment");
  }
}

/**
 * The environment of requirements with the digest, for a version: made by `make` into its folder unless it
 * stands there. While one process makes it, others wait.
 * @throws `runtime.timeout` when another still makes it after `timeoutMs`; what `make` throws.
 */
export async function useEnvironment(
  dataDir: string,
  of: { readonly requirements: string; readonly version: string },
  how: { readonly make: (folder: string) => Promise<void>; readonly timeoutMs: number },
): Promise<UsedEnvironment> {
  const folder = join(environmentsFolder(dataDir), hexOf(of.requirements).slice(0, 16));
  const lock = await patientLock(`${folder}.lock`, how.timeoutMs);
  try {
    const ready = join(folder, READY_FILE);
    if (!existsSync(ready)) {
      // An installation that was cut short is begun anew.
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await how.make(folder);
      await writeFile(ready, "");
    }
    await noteUse(folder, of.version);
    const path = join(folder, USERS, randomBytes(8).toString("hex"));
    const held = takeKernelLock(path);
    return {
      folder,
      release: () => {
        held?.release();
        rmSync(path, { force: true });
      },
    };
  } finally {
    lock.release();
  }
}

async function noteUse(folder: string, version: string): Promise<void> {
  const file = join(folder, VERSIONS, hexOf(version));
  await mkdir(join(folder, VERSIONS), { recursive: true });
  await writeFile(file, "");
  const now = new Date();
  await utimes(file, now, now);
}

/** Every environment of a data folder, those whose making was cut short too. */
export async function listEnvironments(dataDir: string): Promise<readonly Environment[]> {
  const found: Environment[] = [];
  for (const name of await namesIn(environmentsFolder(dataDir)))
    if (NAME.test(name)) found.push(await environmentAt(environmentsFolder(dataDir), name));
  return found;
}

async function environmentAt(parent: string, name: string): Promise<Environment> {
  const folder = join(parent, name);
  const versions = (await namesIn(join(folder, VERSIONS))).filter((hex) => HEX.test(hex));
  const times = await Promise.all(
    versions.map(async (version) => (await stat(join(folder, VERSIONS, version))).mtimeMs),
  );
  return {
    name,
    versions: versions.map((hex) => parseDigest(`sha256:${hex}`)),
    usedAt: times.length > 0 ? Math.max(...times) : (await stat(folder)).mtimeMs,
    bytes: await bytesIn(folder),
  };
}

/** Removes an environment that nobody makes or uses; what earlier removals left goes with it. */
export async function removeEnvironment(dataDir: string, name: string): Promise<Removal> {
  const parent = environmentsFolder(dataDir);
  const folder = join(parent, name);
  const lock = takeKernelLock(`${folder}.lock`);
  if (lock === null) return "being made";
  try {
    if (await isUsed(folder)) return "in use";
    // At once for whoever looks; what follows may take its time.
    if (existsSync(folder)) await rename(folder, `${folder}${GONE}${process.pid}`);
  } finally {
    lock.release();
  }
  for (const left of await namesIn(parent))
    if (left.includes(GONE)) await rm(join(parent, left), { recursive: true, force: true });
  return "removed";
}

/** A user that was killed holds no lock any more. */
async function isUsed(folder: string): Promise<boolean> {
  for (const user of await namesIn(join(folder, USERS))) {
    const path = join(folder, USERS, user);
    const lock = takeKernelLock(path);
    if (lock === null) return true;
    lock.release();
    rmSync(path, { force: true });
  }
  return false;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const size = await stat(join(entry.parentPath, entry.name)).catch(() => null);
    bytes += size?.size ?? 0;
  }
  return bytes;
}
