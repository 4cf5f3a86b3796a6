import { execFile, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

import { LastgoodError } from "../../core/errors/index.ts";
import type { GitTag } from "./gto-tags.ts";

const run = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;
const LINK_MODE = "120000";

/** A file as git keeps it. */
export interface GitFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly object: string;
  readonly size: number;
  /** A symbolic link: its bytes are the path that it leads to. */
  readonly isLink: boolean;
}

/** A git repository on this machine, read only through `git` and never checked out. */
export class GitRepository {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws `usage.invalid` where there is no repository, or no git. */
  async #git(...args: readonly string[]): Promise<string> {
    try {
      const { stdout } = await run("git", ["-C", this.path, ...args], { maxBuffer: MAX_OUTPUT });
      return stdout;
    } catch (cause) {
      const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : "";
      const why = said === "" ? LastgoodError.from(cause).message : said;
      throw new LastgoodError("usage.invalid", `git could not read ${this.path}: ${why}`, {
        hint: "is it a git repository, and is git installed?",
        cause,
      });
    }
  }

  /** The folder that git itself keeps its things in, one for all its worktrees. */
  async folder(): Promise<string> {
    return resolve(this.path, (await this.#git("rev-parse", "--git-common-dir")).trim());
  }

  /** The folder that is checked out, also where the path lies below it; null in a bare repository. */
  async root(): Promise<string | null> {
    if ((await this.#git("rev-parse", "--is-inside-work-tree")).trim() !== "true") return null;
    return (await this.#git("rev-parse", "--show-toplevel")).trim();
  }

  /** Every tag, by name, with the commit that it stands on in the end. */
  async tags(): Promise<readonly GitTag[]> {
    const fields = ["%(refname:strip=2)", "%(objectname)", "%(*objectname)", "%(creatordate:unix)"];
    const text = await this.#git("for-each-ref", `--format=${fields.join("%09")}`, "refs/tags");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [name = "", own = "", peeled = "", at = ""] = line.split("\t");
        return { name, commit: peeled === "" ? own : peeled, at: Number(at) };
      });
  }

  /** The file at a path, or every file below it, as of a commit; links are listed, not followed. */
  files(commit: string, path: string): Promise<readonly GitFile[]> {
    return this.#list(commit, path, "-r");
  }

  async #list(
    commit: string,
    path: string,
    ...how: readonly string[]
  ): Promise<readonly GitFile[]> {
    // Literal: to git a path that begins with a colon is a pattern.
    const shown = ["--literal-pathspecs", "ls-tree", ...how, "-z", "--long", "--full-tree"];
    const text = await this.#git(...shown, commit, "--", path);
    return text.split("\0").flatMap((line) => {
      const found = /^(?<mode>\d+) blob (?<object>[0-9a-f]+) +(?<size>\d+)\t(?<path>[\s\S]+)$/.exec(
        line,
      )?.groups;
      if (found === undefined) return [];
      const { mode, object = "", size = "0", path: name = "" } = found;
      return [{ path: name, object, size: Number(size), isLink: mode === LINK_MODE }];
    });
  }

  /** Where the symbolic link at a path leads as of a commit, or null where there is none. */
  async link(commit: string, path: string): Promise<string | null> {
    const [file] = await this.#list(commit, path);
    return file?.path === path && file.isLink ? this.content(file) : null;
  }

  /** The text of the file at a path as of a commit, or null. */
  async text(commit: string, path: string): Promise<string | null> {
    const file = (await this.files(commit, path)).find((each) => each.path === path);
    return file === undefined || file.isLink ? null : this.content(file);
  }

  /** The text of a file. */
  content({ object }: GitFile): Promise<string> {
    return this.#git("cat-file", "blob", object);
  }

  /** Writes a file's bytes to a path of this machine. */
  async write({ object, path }: GitFile, to: string): Promise<void> {
    const child = spawn("git", ["-C", this.path, "cat-file", "blob", object], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = new Promise<number | null>((done, reject) => {
      child.once("error", reject);
      child.once("close", done);
    });
    await Promise.all([pipeline(child.stdout, createWriteStream(to)), ended]);
    if ((await ended) !== 0)
      throw new LastgoodError("artifact.missing", `git has no object ${object} of ${path}`);
  }
}
