import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

import { LastgoodError } from "../../../core/errors/index.ts";
import { manifestSchema, parseModelName } from "../../../core/version/index.ts";
import type { ManifestFile, Manifests } from "../artifacts.ts";
import { asUnavailable, isAbsent, removeLeftovers, syncFolder, writeWhole } from "./whole-file.ts";

function parseManifest(text: string, path: string): ManifestFile {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new LastgoodError("artifact.corrupt", `${path} is not a manifest`, {
      hint: "restore it from a backup of the data folder",
      details: { path },
      cause: error,
    });
  }
}

async function unlessAbsent<T>(work: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return otherwise;
    throw error;
  }
}

/** Manifests as files `<folder>/<model>/<sequence>.json`. */
export class LocalManifests implements Manifests {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder and removes what interrupted writes left. */
  async prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    for (const model of await this.models()) await removeLeftovers(join(this.#folder, model));
  }

  async write(manifest: ManifestFile): Promise<void> {
    const path = this.#path(manifest.model, manifest.sequence);
    const text = `${JSON.stringify(manifest)}\n`;
    // What could not be read back must not be written.
    parseManifest(text, path);
    await this.#guarded(async () => {
      const folder = dirname(path);
      const made = await mkdir(folder, { recursive: true });
      if (made !== undefined) await syncFolder(this.#folder);
      await writeWhole(folder, async (handle) => {
        await handle.writeFile(text);
        return path;
      });
    });
  }

  async read(model: string, sequence: number): Promise<ManifestFile | null> {
    const path = this.#path(model, sequence);
    const text = await this.#guarded(async () =>
      unlessAbsent<string | null>(readFile(path, "utf8"), null),
    );
    if (text === null) return null;
    const manifest = parseManifest(text, path);
    if (manifest.model !== model || manifest.sequence !== sequence) {
      throw new LastgoodError(
        "artifact.corrupt",
        `${path} is the manifest of ${manifest.model} number ${manifest.sequence}`,
        { details: { path } },
      );
    }
    return manifest;
  }

  async remove(model: string, sequence: number): Promise<void> {
    const path = this.#path(model, sequence);
    await this.#guarded(async () => {
      await rm(path, { force: true });
      await unlessAbsent(syncFolder(dirname(path)), undefined);
    });
  }

  async models(): Promise<readonly string[]> {
    const entries = await this.#guarded(async () => readdir(this.#folder, { withFileTypes: true }));
    return entries
      .filter((entry) => entry.isDirectory() && isModelName(entry.name))
      .map((entry) => entry.name)
      .toSorted();
  }

  async sequences(model: string): Promise<readonly number[]> {
    const folder = join(this.#folder, parseModelName(model));
    const names = await this.#guarded(async () => unlessAbsent<string[]>(readdir(folder), []));
    return names
      .map((name) => /^([1-9]\d{0,8})\.json$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .toSorted((a, b) => a - b);
  }

  #path(model: string, sequence: number): string {
    if (!Number.isInteger(sequence) || sequence < 1) {
      throw new LastgoodError("reference.invalid", `${sequence} is not a sequence number`);
    }
    return join(this.#folder, parseModelName(model), `${sequence}.json`);
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw asUnavailable(error, this.#folder);
    }
  }
}

function isModelName(text: string): boolean {
  try {
    return parseModelName(text) === text;
  } catch {
    return false;
  }
}
