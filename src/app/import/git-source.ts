import { createHash } from "node:crypto";
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { pipeline } from "node:stream/promises";

import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { artefactFileSchema } from "../../core/version/index.ts";
import { parseYaml } from "../model-folder/index.ts";
import { CommittedFiles } from "./committed-files.ts";
import { DvcFiles } from "./dvc-files.ts";
import { GitRepository, type GitFile } from "./git-repository.ts";
import { gtoVersions, type GtoVersion } from "./gto-tags.ts";
import type { OfferedVersion } from "./offered-version.ts";

/** What is wanted of a repository. */
export interface GitWish {
  readonly repository: string;
  /** One artefact; null: all. */
  readonly artifact: string | null;
  /** One version of it; null: all. */
  readonly version: string | null;
  /** Where the model lies in the repository; null: where dvc.yaml or artifacts.yaml say. */
  readonly path: string | null;
  readonly as: string | null;
}

const entry = z.looseObject({ path: z.string().optional() });
const dvcYamlSchema = z.looseObject({ artifacts: z.record(z.string(), entry).default({}) });
const artifactsYamlSchema = z.record(z.string(), entry);
/** Longest text of a Git LFS pointer, bytes: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const POINTER_BYTES = 1_024;

/**
 * The versions that GTO's tags register in a git repository, with their stages as aliases.
 * @throws `usage.invalid` when there are none, or it is no repository.
 */
export async function gitOffers(wish: GitWish): Promise<readonly OfferedVersion[]> {
  const repository = new GitRepository(resolve(wish.repository));
  const all = gtoVersions(await repository.tags());
  const found = all.filter(
    ({ artifact, version }) =>
      (wish.artifact === null || artifact === wish.artifact) &&
      (wish.version === null || version === wish.version),
  );
  if (found.length === 0) throw noneOf(wish, all);
  if (wish.as !== null && new Set(found.map(({ artifact }) => artifact)).size > 1)
    throw new LastgoodError("usage.invalid", "--as names one model, and these are several", {
      hint: `name one of them: ${[...new Set(found.map(({ artifact }) => artifact))].join(", ")}`,
    });
  const source = new GitSource(repository, await DvcFiles.of(repository));
  return found.map((version) => ({
    origin: `git:${version.artifact}@${version.version} ${version.commit}`,
    model: wish.as ?? version.artifact.replaceAll(/[:/]/g, "-"),
    name: version.version,
    aliases: version.stages,
    bring: async (workspace) => ({
      path: await source.fetch(version, wish.path, workspace),
      lineage: { git_commit: version.commit },
    }),
  }));
}

function noneOf(
  { repository, artifact, version }: GitWish,
  all: readonly GtoVersion[],
): LastgoodError {
  const names = [...new Set(all.map((each) => each.artifact))];
  const own = all.filter((each) => each.artifact === artifact).map((each) => each.version);
  const known = own.length === 0 ? `versions of ${names.join(", ")}` : own.join(", ");
  const wanted = [artifact ?? "a version", ...(version === null ? [] : [version])].join("@");
  return new LastgoodError("usage.invalid", `no tag of ${repository} registers ${wanted}`, {
    hint:
      names.length === 0
        ? "versions are tags such as fraud@v1.2.0, as gto register makes them"
        : `registered, and not taken back, are ${known}`,
  });
}

class GitSource {
  readonly #repository: GitRepository;
  readonly #dvc: DvcFiles;
  readonly #files: CommittedFiles;

  constructor(repository: GitRepository, dvc: DvcFiles) {
    this.#repository = repository;
    this.#dvc = dvc;
    this.#files = new CommittedFiles(repository, dvc);
  }

  async fetch(version: GtoVersion, given: string | null, workspace: string): Promise<string> {
    const path = posix.normalize(given ?? (await this.#pathOf(version))).replace(/\/$/, "");
    if (!artefactFileSchema.shape.path.safeParse(path).success)
      throw new LastgoodError("artifact.invalid", `${path} is no path inside the repository`);
    const target = join(workspace, posix.basename(path));
    rmSync(target, { recursive: true, force: true });
    const files = await this.#files.at(version.commit, path);
    for (const { below, path: own, kept } of files) {
      const to = placed(target, below);
      if (kept.by === "git") await this.#writeGit(kept.file, to);
      else await this.#dvc.write(kept.file, to, own);
    }
    if (files.length > 0) return target;
    throw new LastgoodError(
      "artifact.missing",
      `there is no ${path} at ${version.artifact}@${version.version}, in git or by DVC`,
    );
  }

  /** DVC keeps artefacts in dvc.yaml, GTO alone in artifacts.yaml; in a monorepo in the folder's own. */
  async #pathOf({ artifact, version, commit }: GtoVersion): Promise<string> {
    const [folder = "", name = artifact] = artifact.includes(":") ? artifact.split(":") : [""];
    const dvc = await this.#repository.text(commit, posix.join(folder, "dvc.yaml"));
    const gto = await this.#repository.text(commit, posix.join(folder, "artifacts.yaml"));
    const ofDvc = dvcYamlSchema.safeParse(parseYaml(dvc ?? "", "dvc.yaml") ?? {}).data;
    const ofGto = artifactsYamlSchema.safeParse(parseYaml(gto ?? "", "artifacts.yaml") ?? {}).data;
    const path = ofDvc?.artifacts[name]?.path ?? ofGto?.[name]?.path;
    if (path !== undefined) return posix.join(folder, path);
    throw new LastgoodError(
      "artifact.invalid",
      `where ${artifact} lies at ${version} is said neither by dvc.yaml (artifacts) nor by artifacts.yaml`,
      { hint: "say it yourself: --path models/fraud.onnx" },
    );
  }

  async #writeGit(file: GitFile, to: string): Promise<void> {
    const part = `${to}.part`;
    await this.#repository.write(file, part);
    const object = file.size > POINTER_BYTES ? null : lfsObject(readFileSync(part, "utf8"));
    if (object === null) return renameSync(part, to);
    rmSync(part);
    const folder = await this.#repository.folder();
    const stored = join(folder, "lfs", "objects", object.slice(0, 2), object.slice(2, 4), object);
    if (!existsSync(stored))
      throw new LastgoodError("artifact.missing", `${file.path} is in Git LFS and was not pulled`, {
        hint: "git lfs fetch --all",
      });
    const hash = createHash("sha256");
    await pipeline(createReadStream(stored), hash);
    if (hash.digest("hex") !== object)
      throw new LastgoodError("artifact.corrupt", `${file.path} in Git LFS is not of ${object}`);
    copyFileSync(stored, to);
  }
}

function lfsObject(text: string): string | null {
  if (!text.startsWith("version https://git-lfs.github.com/spec/v1")) return null;
  return /^oid sha256:([0-9a-f]{64})$/m.exec(text)?.[1] ?? null;
}

/** The place of a file, with the folders above it made; empty: the target itself. */
function placed(target: string, below: string): string {
  const path = below === "" ? target : join(target, below);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
