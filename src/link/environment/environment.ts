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
/** Of SQLite: READONLY, IOERR, FULL and CANTOPEN. */
const DISK_ERRORS: ReadonlySet<number> = new Set([8, 10, 13, 14]);
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
 * stands there. While one process makes it, others wait. What a failed `make` leaves is removed.
 * @throws `runtime.timeout` when another still makes it after `timeoutMs`; `preflight.rejected` where the
 * version has not used it before and the disk takes nothing more; what `make` throws.
 */
export async function useEnvironment(
  dataDir: string,
  of: { readonly requirements: string; readonly version: string },
  how: { readonly make: (folder: string) => Promise<void>; readonly timeoutMs: number },
): Promise<UsedEnvironment> {
  const folder = join(environmentsFolder(dataDir), hexOf(of.requirements).slice(0, 16));
  try {
    const lock = await patientLock(`${folder}.lock`, how.timeoutMs);
    try {
      if (!isReady(folder)) await makeWhole(folder, how.make);
      await noteUse(folder, of.version);
      return usedBy(folder);
    } finally {
      lock.release();
    }
  } catch (error) {
    // What was used before starts on a full disk, too: `gc`, which a person types, knows of its version.
    const wasUsed = isReady(folder) && existsSync(markOf(folder, of.version));
    if (wasUsed && isOfTheDisk(error)) return { folder, release: () => undefined };
    throw whyNotKept(folder, error);
  }
}

function markOf(folder: string, version: string): string {
  return join(folder, VERSIONS, hexOf(version));
}

function isReady(folder: string): boolean {
  return existsSync(join(folder, READY_FILE));
}

/** Makes it, or leaves nothing: what is in a half-made one may be gigabytes that nobody can use. */
async function makeWhole(folder: string, make: (folder: string) => Promise<void>): Promise<void> {
  // An installation that was cut short is begun anew.
  await rm(folder, { recursive: true, force: true });
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await make(folder);
    await writeFile(join(folder, READY_FILE), "");
  } catch (error) {
    // What cannot be removed now goes before the next one is used.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

function usedBy(folder: string): UsedEnvironment {
  const path = join(folder, USERS, randomBytes(8).toString("hex"));
  const held = takeKernelLock(path);
  return {
    folder,
    release: () => {
      held?.release();
      rmSync(path, { force: true });
    },
  };
}

/** What the disk is to blame for, in words; anything else as it was thrown. */
function whyNotKept(folder: string, cause: unknown): unknown {
  if (!isOfTheDisk(cause)) return cause;
  return new LastgoodError(
    "preflight.rejected",
    `the version's environment could not be kept at ${folder}: ${cause.message}`,
    {
      cause,
      hint: "make room on the disk of the data folder and see that this user may write there (lastgood gc says which environments nothing needs), then do it again",
    },
  );
}

/** A system call that failed, or SQLite, whose locks are files, where one did. */
function isOfTheDisk(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return (
    "syscall" in error || ("errcode" in error && DISK_ERRORS.has(Number(error.errcode) & 0xff))
  );
}

async function noteUse(folder: string, version: string): Promise<void> {
  const file = markOf(folder, version);
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
  const removal = await putAside(join(parent, name), () => true);
  if (removal === "removed") await removePutAside(parent);
  return removal;
}

/**
 * Removes what installations that were killed have left, and removals. What cannot be removed stays for the
 * next time: it is no reason not to start a server.
 */
export async function removeUnfinished(dataDir: string): Promise<void> {
  const parent = environmentsFolder(dataDir);
  try {
    for (const name of await namesIn(parent)) {
      const folder = join(parent, name);
      // One that is made now is ready, or locked, when it is looked at again.
      if (NAME.test(name) && !isReady(folder)) await putAside(folder, () => !isReady(folder));
    }
    await removePutAside(parent);
  } catch {
    return undefined;
  }
}

/** Takes an environment out of use at once for whoever looks; to remove it may take its time. */
async function putAside(folder: string, isWanted: () => boolean): Promise<Removal> {
  const lock = takeKernelLock(`${folder}.lock`);
  if (lock === null) return "being made";
  try {
    if (!isWanted() || (await isUsed(folder))) return "in use";
    if (existsSync(folder)) await rename(folder, `${folder}${GONE}${process.pid}`);
    return "removed";
  } finally {
    lock.release();
  }
}

async function removePutAside(parent: string): Promise<void> {
  for (const left of await namesIn(parent))
    if (left.includes(GONE))
      // Another process may be at it, too.
      await rm(join(parent, left), { recursive: true, force: true, maxRetries: 3 });
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
