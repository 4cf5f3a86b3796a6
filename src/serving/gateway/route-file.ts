import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import { overrideSchema } from "../../link/override/index.ts";
import { routeSchema } from "../../link/route/index.ts";
import { encodeSlot, MIN_SLOT_BYTES, newestSlot, slotLength } from "./slots.ts";

/** What a gateway remembers of one endpoint. */
const routeRecordSchema = z.object({
  /** The last route taken from the control plane. */
  route: routeSchema,
  /** Standing overrides, oldest first; the last one decides the split. */
  overrides: z.array(overrideSchema),
});

/** What a gateway remembers of one endpoint. */
export type RouteRecord = z.infer<typeof routeRecordSchema>;

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The file for writing in place; null where somebody took it away. */
async function openThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/**
 * One endpoint's record on disk: a preallocated file of two slots that are written in turn, in
 * place, so that a full disk does not stop a rollback and a torn write leaves the older record.
 */
export class RouteFile {
  readonly #folder: string;
  readonly #path: string;
  #writes: Promise<unknown> = Promise.resolve();
  #sequence = 0;
  #half: 0 | 1 = 1;
  #slotBytes: number | null = null;

  constructor(folder: string, endpoint: string) {
    this.#folder = folder;
    this.#path = join(folder, `${endpoint}.slots`);
  }

  /** The newest record whose checksum is right, or null where there is none. */
  async read(): Promise<RouteRecord | null> {
    const bytes = await readFile(this.#path).catch(() => null);
    if (bytes === null) return null;
    const newest = newestSlot(bytes);
    if (newest === null) return null;
    this.#slotBytes = Math.floor(bytes.length / 2);
    this.#sequence = newest.slot.sequence;
    this.#half = newest.half;
    return routeRecordSchema.parse(JSON.parse(newest.slot.payload.toString("utf8")));
  }

  /** Resolves when the record is on disk; writes are done in the order they were asked for. */
  write(record: RouteRecord): Promise<void> {
    const payload = Buffer.from(JSON.stringify(record));
    const written = this.#writes.then(() => this.#write(payload));
    this.#writes = written.catch(() => undefined);
    return written;
  }

  async #write(payload: Buffer): Promise<void> {
    const bytes = encodeSlot({ sequence: this.#sequence + 1, payload });
    const slotBytes = this.#slotBytes;
    const handle =
      slotBytes === null || slotLength(payload) > slotBytes ? null : await openThere(this.#path);
    if (slotBytes === null || handle === null) {
      await this.#create(bytes);
    } else {
      const half = this.#half === 0 ? 1 : 0;
      try {
        const { bytesWritten } = await handle.write(bytes, 0, bytes.length, half * slotBytes);
        if (bytesWritten < bytes.length) throw new Error("the disk took only a part of the record");
        await handle.datasync();
      } finally {
        await handle.close();
      }
      this.#half = half;
    }
    this.#sequence += 1;
  }

  async #create(bytes: Buffer): Promise<void> {
    let slotBytes = MIN_SLOT_BYTES;
    // Room to grow: the next route is seldom the same size.
    while (slotBytes < bytes.length * 1.5) slotBytes *= 2;
    await mkdir(this.#folder, { recursive: true });
    const temporary = `${this.#path}.${process.pid}.tmp`;
    const handle = await open(temporary, "w", 0o600);
    try {
      const file = Buffer.alloc(2 * slotBytes);
      bytes.copy(file);
      // All of it or an error: a system call may take a part only.
      await handle.writeFile(file);
      await handle.sync();
      await handle.close();
      await rename(temporary, this.#path);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await syncFolder(this.#folder);
    this.#slotBytes = slotBytes;
    this.#half = 0;
  }
}

/** Endpoints that have a record in the folder. */
export async function recordedEndpoints(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.endsWith(".slots"))
    .map((name) => name.slice(0, -".slots".length));
}
