import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, posix } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { artefactFileSchema } from "../../core/version/index.ts";
import { lockOuts, pointerOuts, type DvcOut } from "./dvc-outs.ts";
import type { GitFile, GitRepository } from "./git-repository.ts";

/** In the cache a folder is a JSON list of its files. */
const listingSchema = z.array(
  z.object({ md5: z.string(), relpath: artefactFileSchema.shape.path }),
);

/** A file in DVC's cache. */
export interface DvcFile {
  /** Below what was asked for; empty where that is the file. */
  readonly path: string;
  readonly md5: string;
}

/** What DVC keeps of a folder that git keeps the rest of. */
export interface DvcPart {
  readonly files: readonly DvcFile[];
  /** Files in git that stand for them and are not of the folder themselves. */
  readonly standIns: ReadonlySet<string>;
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
    const outs = pointer === null ? null : pointerOuts(pointer, `${path}.dvc`);
    const locked = await this.#locked(commit, locksAbove(path));
    return [...(outs ?? []), ...locked].find((out) => out.path === path)?.md5 ?? null;
  }

  async #locked(commit: string, locks: readonly string[]): Promise<readonly DvcOut[]> {
    const outs: DvcOut[] = [];
    for (const lock of locks) {
      const text = await this.#repository.text(commit, lock);
      if (text === null) continue;
      const stages = await this.#repository.text(commit, lock.replace(/lock$/, "yaml"));
      outs.push(...lockOuts(text, stages, lock));
    }
    return outs;
  }

  /**
   * What DVC keeps below a folder of which git has `tracked`: named by pointers there, and by the
   * locks there and above.
   * @throws `artifact.missing` for a folder whose list was not pulled; `artifact.invalid` for what DVC
   * keeps without an MD5.
   */
  async below(commit: string, folder: string, tracked: readonly GitFile[]): Promise<DvcPart> {
    const standIns = new Set<string>();
    const outs: DvcOut[] = [];
    const own = tracked.filter(({ isLink }) => !isLink);
    for (const file of own.filter(({ path }) => /[^/]\.dvc$/.test(path))) {
      const pointed = pointerOuts(await this.#repository.content(file), file.path);
      if (pointed === null) continue;
      standIns.add(file.path);
      outs.push(...pointed);
    }
    const locks = own.map(({ path }) => path).filter((path) => /(^|\/)dvc\.lock$/.test(path));
    outs.push(...(await this.#locked(commit, [...new Set([...locksAbove(folder), ...locks])])));
    // An output that DVC does not cache is in git.
    const kept = new Map(
      outs
        .filter(({ path }) => path.startsWith(`${folder}/`) && !isIn(tracked, path))
        .map((out) => [out.path, out]),
    );
    for (const ignore of await this.#ignores(own, kept)) standIns.add(ignore);
    return {
      standIns,
      files: [...kept.values()].flatMap((out) =>
        this.#filesOf(out, posix.relative(folder, out.path)),
      ),
    };
  }

  /** The `.gitignore` files that name nothing but what DVC keeps beside them, as DVC writes them. */
  async #ignores(
    tracked: readonly GitFile[],
    kept: ReadonlyMap<string, DvcOut>,
  ): Promise<readonly string[]> {
    const folders = new Set([...kept.keys()].map((path) => posix.dirname(path)));
    const found: string[] = [];
    for (const folder of folders) {
      const file = tracked.find(({ path }) => path === posix.join(folder, ".gitignore"));
      if (file === undefined) continue;
      const lines = (await this.#repository.content(file))
        .split(/\r?\n/)
        .filter((line) => line !== "");
      if (lines.every((line) => line.startsWith("/") && kept.has(posix.join(folder, line))))
        found.push(file.path);
    }
    return found;
  }

  #filesOf({ path, md5 }: DvcOut, below: string): readonly DvcFile[] {
    if (md5 === null)
      throw new LastgoodError(
        "artifact.invalid",
        `DVC names no MD5 of ${path}, so it cannot be had`,
        {
          hint: `track the file itself: dvc add ${path}`,
        },
      );
    if (!md5.endsWith(".dir")) return [{ path: below, md5 }];
    return this.#inFolder(md5, path, path).map((file) => ({
      ...file,
      path: posix.join(below, file.path),
    }));
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

/** Git has a file there, or below. */
function isIn(tracked: readonly GitFile[], path: string): boolean {
  return tracked.some((file) => file.path === path || file.path.startsWith(`${path}/`));
}

/** Where a lock may stand whose outputs may lie at a path: in each folder above it. */
function locksAbove(path: string): readonly string[] {
  const folder = posix.dirname(path);
  const own = posix.join(folder, "dvc.lock");
  return folder === "." ? [own] : [own, ...locksAbove(folder)];
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
