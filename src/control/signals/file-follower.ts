import { createHash } from "node:crypto";
import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import * as z from "zod";

const positionSchema = z.object({
  inode: z.string(),
  offset: z.number().int().nonnegative(),
  /** Of the first bytes: a file that was cut and written again begins otherwise. */
  head: z.object({ length: z.number().int().nonnegative(), hash: z.string() }),
  /** Inside a line that is longer than any line may be: the rest of it is passed over. */
  inLongLine: z.boolean(),
});

/** How far one file was read, by its inode; the last one has the path, those before it were renamed. */
export const placeSchema = z.array(positionSchema);

/** How far one file was read. */
export type Place = z.infer<typeof placeSchema>;
type Position = z.infer<typeof positionSchema>;

const HEAD_BYTES = 256;
/** Read of one file at a time; the rest the next time. */
const MOST_BYTES = 4 * 1024 * 1024;
/** A longer line counts once, by its beginning. */
const LONGEST_LINE = 64 * 1024;
/** Renamed files that may still be written to. */
const MOST_RENAMED = 2;
const LINE_END = 0x0a;

const NO_HEAD: Position["head"] = { length: 0, hash: "" };

async function headOf(file: FileHandle, length: number): Promise<Position["head"]> {
  if (length === 0) return NO_HEAD;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
  const hash = createHash("sha256").update(buffer.subarray(0, bytesRead)).digest("hex");
  return { length: bytesRead, hash: hash.slice(0, 16) };
}

/** Where the file ends now: what is written from here on is new. A file that is not there is all new. */
export async function endOf(path: string): Promise<Place> {
  const file = await openedOrNull(path);
  if (file === null) return [];
  try {
    const { ino, size } = await file.stat({ bigint: true });
    const offset = Number(size);
    const head = await headOf(file, Math.min(offset, HEAD_BYTES));
    // In the middle of a line what follows is the end of an old one.
    const inLongLine = offset > 0 && !(await endsLine(file, offset));
    return [{ inode: String(ino), offset, head, inLongLine }];
  } finally {
    await file.close();
  }
}

async function endsLine(file: FileHandle, at: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at - 1);
  return buffer[0] === LINE_END;
}

async function openedOrNull(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return null;
    throw error;
  }
}

/** What tells a file from every other one, whatever its name; null where there is none. */
export async function inodeOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  return found === null ? null : String(found.ino);
}

/** What was read of a file, and where to go on. */
export interface ReadOn {
  readonly lines: readonly string[];
  readonly place: Place;
}

/**
 * Whole lines beyond a place. Survives rotation by renaming (the rest of the renamed file is read
 * first), by copying and truncating, and a file that is not there for a while.
 */
export async function readOn(path: string, place: Place): Promise<ReadOn> {
  const lines: string[] = [];
  const next: Position[] = [];
  const current = await openedOrNull(path);
  try {
    const inode = current === null ? null : String((await current.stat({ bigint: true })).ino);
    const renamed = place.filter((position) => position.inode !== inode).slice(-MOST_RENAMED);
    for (const position of renamed) {
      const moved = await readRenamed(path, position, lines);
      if (moved !== null) next.push(moved);
    }
    if (current !== null && inode !== null) {
      const before = place.find((position) => position.inode === inode);
      next.push(await readFrom(current, before ?? startOf(inode), lines));
    }
  } finally {
    await current?.close();
  }
  return { lines, place: next };
}

function startOf(inode: string): Position {
  return { inode, offset: 0, head: NO_HEAD, inLongLine: false };
}

/** Finds what the file was renamed to, beside it; null where it is gone. */
async function readRenamed(
  path: string,
  position: Position,
  lines: string[],
): Promise<Position | null> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  const stem = basename(path).replace(/\.[^.]*$/, "");
  for (const name of names) {
    if (!name.startsWith(stem)) continue;
    const other = join(folder, name);
    const found = await stat(other, { bigint: true }).catch(() => null);
    if (found === null || String(found.ino) !== position.inode || !found.isFile()) continue;
    const file = await openedOrNull(other);
    if (file === null) return null;
    try {
      return await readFrom(file, position, lines);
    } finally {
      await file.close();
    }
  }
  return null;
}

async function readFrom(file: FileHandle, from: Position, lines: string[]): Promise<Position> {
  const position = await unlessCut(file, from);
  const { size } = await file.stat();
  const length = Math.min(MOST_BYTES, size - position.offset);
  if (length <= 0) return position;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position.offset);
  const { used, inLongLine } = splitLines(buffer.subarray(0, bytesRead), position, lines);
  const offset = position.offset + used;
  const head =
    position.head.length < HEAD_BYTES
      ? await headOf(file, Math.min(offset, HEAD_BYTES))
      : position.head;
  return { inode: position.inode, offset, head, inLongLine };
}

/** The position, or the file's beginning where it was cut since. */
async function unlessCut(file: FileHandle, position: Position): Promise<Position> {
  const { size } = await file.stat();
  const { offset, head } = position;
  const isSame = size >= offset && (await headOf(file, head.length)).hash === head.hash;
  return isSame ? position : startOf(position.inode);
}

/** Takes the whole lines of what was read; an unfinished one is left, unless it is too long. */
function splitLines(
  bytes: Buffer,
  { inLongLine }: Position,
  lines: string[],
): { readonly used: number; readonly inLongLine: boolean } {
  let from = 0;
  let isPassing = inLongLine;
  for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, from)) {
    if (!isPassing) lines.push(lineOf(bytes.subarray(from, end)));
    isPassing = false;
    from = end + 1;
  }
  const isLong = bytes.length - from > LONGEST_LINE;
  if (isPassing) return { used: bytes.length, inLongLine: true };
  if (!isLong) return { used: from, inLongLine: false };
  lines.push(lineOf(bytes.subarray(from)));
  return { used: bytes.length, inLongLine: true };
}

function lineOf(bytes: Buffer): string {
  return bytes.subarray(0, LONGEST_LINE).toString("utf8").replace(/\r$/, "");
}
