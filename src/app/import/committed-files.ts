import { posix } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { artefactFileSchema } from "../../core/version/index.ts";
import type { DvcFile, DvcFiles } from "./dvc-files.ts";
import { badLink, IN_A_CIRCLE, withoutLinks } from "./git-links.ts";
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

/** Links that one artefact may have: links to folders of links could be followed without an end. */
const MAX_FOLLOWED = 1_000;

interface Walk {
  /** Links whose content is being listed, the outermost first. */
  readonly inside: readonly string[];
  /** Every link that was followed so far. */
  readonly followed: string[];
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
   * @throws `artifact.invalid` for names, links and pointers that cannot be followed;
   * `artifact.missing` for a folder whose list DVC did not pull.
   */
  async at(commit: string, path: string): Promise<readonly CommittedFile[]> {
    const real = await withoutLinks(this.#repository, commit, path);
    const files = await this.#at(commit, real, { inside: [], followed: [] });
    if (files.length === 0 && real !== path) throw badLink(path, nothingAt(real));
    return files;
  }

  async #at(commit: string, path: string, walk: Walk): Promise<readonly CommittedFile[]> {
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
    const linked: CommittedFile[] = [];
    for (const link of own.filter(({ isLink }) => isLink))
      linked.push(...(await this.#behind(commit, link.path, path, walk)));
    return [
      ...own.filter(({ isLink }) => !isLink).map((file) => inGit(file, path)),
      ...files.map((file) => inDvc(file, path)),
      ...linked,
    ];
  }

  /** What a link that lies below a path leads to, in the link's place. */
  async #behind(
    commit: string,
    link: string,
    above: string,
    { inside, followed }: Walk,
  ): Promise<readonly CommittedFile[]> {
    if (inside.includes(link)) throw badLink(link, IN_A_CIRCLE);
    followed.push(link);
    if (followed.length > MAX_FOLLOWED)
      throw badLink(link, `is one of more than ${MAX_FOLLOWED} that would have to be followed`);
    const real = await withoutLinks(this.#repository, commit, link);
    const files = await this.#at(commit, real, { inside: [...inside, link], followed });
    if (files.length === 0) throw badLink(link, nothingAt(real));
    const place = posix.relative(above, link);
    return files.map((file) => ({ ...file, below: posix.join(place, file.below) }));
  }
}

function nothingAt(path: string): string {
  return `leads to ${path}, and there is nothing there at that commit`;
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
