import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, posix } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { artefactFileSchema } from "../../core/version/index.ts";
import { parseYaml } from "../model-folder/index.ts";
import type { GitRepository } from "./git-repository.ts";

/*
 * What DVC 2 and 3 write: `x.dvc` beside what it tracks, `dvc.lock` for the outputs of stages, and in
 * the cache a JSON list of files for each folder: https://dvc.org/doc/user-guide/project-structure
 */
const outSchema = z.object({ path: z.string(), md5: z.string().optional() });
const pointerSchema = z.object({ outs: z.array(outSchema) });
const lockSchema = z.object({
  stages: z.record(z.string(), z.object({ outs: z.array(outSchema).default([]) })).default({}),
});
const listingSchema = z.array(
  z.object({ md5: z.string(), relpath: artefactFileSchema.shape.path }),
);

/** A file in DVC's cache. */
export interface DvcFile {
  /** Below what was asked for; empty where that is the file. */
  readonly path: string;
  readonly md5: string;
}

/** Files of a repository that DVC keeps outside of git, already pulled into its cache. */
export class DvcFiles {
  readonly #repository: GitRepository;
  readonly #caches: readonly string[];

  private constructor(repository: GitRepository, caches: readonly string[]) {
    this.#repository = repository;
    this.#caches = caches;
  }

  /** DVC's files of a repository, given by any folder of it. */
  static async of(repository: GitRepository): Promise<DvcFiles> {
    const root = await repository.root();
    return new DvcFiles(repository, cachesOf(root ?? repository.path));
  }

  /**
   * The files at a path as of a commit; null where DVC tracks nothing there.
   * @throws `artifact.missing` for a folder whose list was not pulled.
   */
  async files(commit: string, path: string): Promise<readonly DvcFile[] | null> {
    for (let above = path; above !== "." && above !== ""; above = posix.dirname(above)) {
      const md5 = await this.#tracked(commit, above);
      if (md5 === null) continue;
      return md5.endsWith(".dir") ? this.#inFolder(md5, above, path) : [{ path: "", md5 }];
    }
    return null;
  }

  async #tracked(commit: string, path: string): Promise<string | null> {
    const pointer = await this.#repository.text(commit, `${path}.dvc`);
    if (pointer !== null) {
      const parsed = pointerSchema.safeParse(parseYaml(pointer, `${path}.dvc`));
      const out = parsed.data?.outs.find((each) => each.path === posix.basename(path));
      if (out?.md5 !== undefined) return out.md5;
    }
    for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
      const lock = await this.#repository.text(commit, posix.join(folder, "dvc.lock"));
      const parsed =
        lock === null ? undefined : lockSchema.safeParse(parseYaml(lock, "dvc.lock")).data;
      const outs = Object.values(parsed?.stages ?? {}).flatMap((stage) => stage.outs);
      const out = outs.find((each) => posix.join(folder, each.path) === path);
      if (out?.md5 !== undefined) return out.md5;
      if (folder === ".") return null;
    }
  }

  #inFolder(md5: string, folder: string, wanted: string): readonly DvcFile[] {
    const text = readFileSync(this.#cached(md5, folder), "utf8");
    if (createHash("md5").update(text).digest("hex") !== md5.replace(".dir", ""))
      throw corrupt(folder, md5);
    const parsed = listingSchema.safeParse(JSON.parse(text));
    if (!parsed.success)
      throw new LastgoodError("artifact.invalid", `DVC's list of the files in ${folder} is none`);
    const below = posix.relative(folder, wanted);
    return parsed.data.flatMap(({ relpath, md5: own }) => {
      if (below === "") return [{ path: relpath, md5: own }];
      if (relpath === below) return [{ path: "", md5: own }];
      return relpath.startsWith(`${below}/`)
        ? [{ path: relpath.slice(below.length + 1), md5: own }]
        : [];
    });
  }

  /** Copies a file out of the cache, and makes sure that its bytes are the ones that were tracked. */
  async write(file: DvcFile, to: string, name: string): Promise<void> {
    const hash = createHash("md5");
    const through = new Transform({
      transform: (chunk: Buffer, _, done) => {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(createReadStream(this.#cached(file.md5, name)), through, createWriteStream(to));
    if (hash.digest("hex") !== file.md5) throw corrupt(name, file.md5);
  }

  #cached(md5: string, name: string): string {
    if (/^[0-9a-f]{32}(\.dir)?$/.test(md5)) {
      const below = join(md5.slice(0, 2), md5.slice(2));
      // DVC 3, and what DVC 2 left there.
      for (const cache of this.#caches)
        for (const path of [join(cache, "files", "md5", below), join(cache, below)])
          if (existsSync(path)) return path;
    }
    throw new LastgoodError("artifact.missing", `${name} is not in DVC's cache: md5 ${md5}`, {
      hint: "pull it first: dvc fetch --all-tags",
    });
  }
}

function corrupt(name: string, md5: string): LastgoodError {
  return new LastgoodError("artifact.corrupt", `${name} in DVC's cache is not of md5 ${md5}`, {
    hint: "remove it from the cache and run dvc fetch --all-tags",
  });
}

/** The cache folders that the repository's configuration names, and the usual one. */
function cachesOf(repository: string): readonly string[] {
  const dvc = join(repository, ".dvc");
  const named = ["config.local", "config"].flatMap((name) => {
    const path = join(dvc, name);
    if (!existsSync(path)) return [];
    const section = /^\[cache\]\s*$(?<body>[^[]*)/m.exec(readFileSync(path, "utf8"))?.groups;
    const dir = /^\s*dir\s*=\s*(.+?)\s*$/m.exec(section?.["body"] ?? "")?.[1];
    if (dir === undefined) return [];
    return [isAbsolute(dir) ? dir : join(dirname(path), dir)];
  });
  return [...named, join(dvc, "cache")];
}
