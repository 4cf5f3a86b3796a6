import { posix } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { artefactFileSchema } from "../../core/version/index.ts";
import type { DvcFile, DvcFiles } from "./dvc-files.ts";
import type { GitFile, GitRepository } from "./git-repository.ts";

/** A file of a commit, in git itself or in DVC's cache. */
export interface CommittedFile {
  /** Below what was asked for; empty where that is the file. */
  readonly below: string;
  /** From the root of the repository. */
  readonly path: string;
  readonly kept:
    | { readonly by: "git"; readonly file: GitFile }
    | { readonly by: "dvc"; readonly file: DvcFile };
}

/** What a repository's commits hold, as a checkout with everything pulled would show it. */
export class CommittedFiles {
  readonly #repository: GitRepository;
  readonly #dvc: DvcFiles;

  constructor(repository: GitRepository, dvc: DvcFiles) {
    this.#repository = repository;
    this.#dvc = dvc;
  }

  /**
   * The file at a path, or every file below it; none where there is nothing.
   * @throws `artifact.invalid` for names and pointers that cannot be followed; `artifact.missing` for
   * a folder whose list DVC did not pull.
   */
  async at(commit: string, path: string): Promise<readonly CommittedFile[]> {
    const tracked = await this.#repository.files(commit, path);
    // A tree may hold what no checkout would make of it: `..`.
    for (const file of tracked)
      if (!artefactFileSchema.shape.path.safeParse(file.path).success)
        throw new LastgoodError("artifact.invalid", `git has "${file.path}", which is no path`);
    if (tracked[0]?.path === path) return tracked.map((file) => inGit(file, path));
    const { files, standIns } = await this.#dvc.below(commit, path, tracked);
    const own = tracked.filter((file) => !standIns.has(file.path));
    if (own.length + files.length === 0)
      return ((await this.#dvc.files(commit, path)) ?? []).map((file) => inDvc(file, path));
    return [...own.map((file) => inGit(file, path)), ...files.map((file) => inDvc(file, path))];
  }
}

function inGit(file: GitFile, above: string): CommittedFile {
  return {
    below: posix.relative(above, file.path),
    path: file.path,
    kept: { by: "git", file },
  };
}

function inDvc(file: DvcFile, above: string): CommittedFile {
  return { below: file.path, path: posix.join(above, file.path), kept: { by: "dvc", file } };
}
