import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";

import { LastgoodError } from "../../../core/errors/index.ts";
import { blobPath, parseDigest, type Digest } from "../../../core/version/index.ts";
import type {
  Artifacts,
  ArtifactVerdict,
  Manifests,
  PutArtifact,
  PutOptions,
} from "../artifacts.ts";
import { LocalManifests } from "./local-manifests.ts";
import { asUnavailable, isAbsent, removeLeftovers, writeWhole } from "./whole-file.ts";

/** Any blob's path: they all lie in one folder. */
const EMPTY = parseDigest(
  "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
);

function sha256(bytes: Uint8Array): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
}

function missing(digest: Digest): LastgoodError {
  return new LastgoodError("artifact.missing", `the bytes of ${digest} are not stored`, {
    details: { digest },
  });
}

function corrupt(digest: Digest, found: Digest): LastgoodError {
  return new LastgoodError("artifact.corrupt", `the bytes of ${digest} hash to ${found}`, {
    details: { digest, found },
  });
}

function tooLarge(limitBytes: number): LastgoodError {
  return new LastgoodError("body.too-large", `the file is larger than ${limitBytes} bytes`, {
    details: { limitBytes },
  });
}

/** Carries what the content itself threw past the net that blames the disk. */
class ContentFailed extends Error {}

async function* readContent(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    throw new ContentFailed("the content could not be read", { cause: error });
  }
}

/** Writes content to a file and hashes it on the way. */
async function writeHashed(
  handle: FileHandle,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  limitBytes: number,
): Promise<{ digest: Digest; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  const take = async (chunk: Uint8Array): Promise<void> => {
    size += chunk.byteLength;
    if (size > limitBytes) throw tooLarge(limitBytes);
    hash.update(chunk);
    await handle.writeFile(chunk);
  };
  if (content instanceof Uint8Array) await take(content);
  else for await (const chunk of readContent(content)) await take(chunk);
  return { digest: parseDigest(`sha256:${hash.digest("hex")}`), size };
}

class LocalArtifacts implements Artifacts {
  readonly manifests: Manifests;
  readonly #folder: string;

  constructor(folder: string, manifests: Manifests) {
    this.#folder = folder;
    this.manifests = manifests;
  }

  async put(
    content: Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<PutArtifact> {
    return this.#guarded(async () => {
      let put: PutArtifact | undefined;
      await writeWhole(join(this.#folder, dirname(blobPath(EMPTY))), async (handle) => {
        const written = await writeHashed(handle, content, options.limitBytes ?? Infinity);
        if (options.expect !== undefined && options.expect !== written.digest)
          throw corrupt(options.expect, written.digest);
        put = { ...written, created: (await this.size(written.digest)) === null };
        return this.#path(written.digest);
      });
      if (put === undefined) throw new LastgoodError("internal", "nothing was written");
      return put;
    });
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = await this.#present(digest, async (path) => readFile(path));
    const found = sha256(bytes);
    if (found !== digest) throw corrupt(digest, found);
    return bytes;
  }

  async open(digest: Digest): Promise<AsyncIterable<Uint8Array>> {
    const handle = await this.#present(digest, async (path) => open(path, "r"));
    return handle.createReadStream();
  }

  async size(digest: Digest): Promise<number | null> {
    const path = this.#path(digest);
    return this.#guarded(async () => {
      try {
        return (await stat(path)).size;
      } catch (error) {
        if (isAbsent(error)) return null;
        throw error;
      }
    });
  }

  async verify(digest: Digest): Promise<ArtifactVerdict> {
    const path = this.#path(digest);
    return this.#guarded(async () => {
      const hash = createHash("sha256");
      try {
        for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
      } catch (error) {
        if (isAbsent(error)) return "missing";
        throw error;
      }
      return `sha256:${hash.digest("hex")}` === digest ? "ok" : "corrupt";
    });
  }

  #path(digest: Digest): string {
    return join(this.#folder, blobPath(parseDigest(digest)));
  }

  async #present<T>(digest: Digest, work: (path: string) => Promise<T>): Promise<T> {
    const path = this.#path(digest);
    return this.#guarded(async () => {
      try {
        return await work(path);
      } catch (error) {
        if (isAbsent(error)) throw missing(digest);
        throw error;
      }
    });
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof ContentFailed ? error.cause : asUnavailable(error, this.#folder);
    }
  }
}

/**
 * Artifacts in files: `blobs/sha256/<64 hex>` and `manifests/<model>/<sequence>.json` below the data
 * folder. Makes the folders, and removes what interrupted writes left: one process at a time, which
 * the caller sees to.
 * @throws `store.unavailable`.
 */
export async function openLocalArtifacts(dataFolder: string): Promise<Artifacts> {
  try {
    const blobs = join(dataFolder, dirname(blobPath(EMPTY)));
    await mkdir(blobs, { recursive: true });
    await removeLeftovers(blobs);
    const manifests = new LocalManifests(join(dataFolder, "manifests"));
    await manifests.prepare();
    return new LocalArtifacts(dataFolder, manifests);
  } catch (error) {
    throw asUnavailable(error, dataFolder);
  }
}
