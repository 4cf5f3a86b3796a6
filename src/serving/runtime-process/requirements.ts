import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { pipeline } from "node:stream/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Launcher } from "../../core/launcher/index.ts";
import { requirementLines, type RequirementLine } from "./requirement-lines.ts";

/** Where `bentoml build` writes the requirements of a Bento, whose root `bento.yaml` marks. */
const OF_A_BENTO = join("env", "python");

/** Where the requirements of a version lie. */
export interface RequirementsFile {
  readonly file: string;
  /** Where the installer runs: what names wheels by a path names them from there. */
  readonly from: string;
}

/** What an environment is made of. */
export interface Requirements extends RequirementsFile {
  /** SHA-256 over the file and every file of the version it refers to, in hex; see `digestOf`. */
  readonly digest: string;
  /** The requirements that are not one exact version: they may bring something else tomorrow. */
  readonly loose: readonly string[];
}

/** The requirements file of a version, or null where it has none. */
export function requirementsFile(
  folder: string,
  { requirements }: Launcher,
): RequirementsFile | null {
  const file = join(folder, requirements);
  if (existsSync(file)) return { file, from: folder };
  if (!existsSync(join(folder, "bento.yaml"))) return null;
  const from = join(folder, OF_A_BENTO);
  const ofBento = join(from, "requirements.txt");
  return existsSync(ofBento) ? { file: ofBento, from } : null;
}

/**
 * What the requirements file of a version asks for, with all that it refers to inside the version's folder:
 * other files of requirements and constraints, wheels, source archives, folders of packages.
 * @throws `preflight.rejected` for a reference that leaves the folder, or to what is not there.
 */
export async function readRequirements(
  folder: string,
  of: RequirementsFile,
  python: string,
): Promise<Requirements> {
  const walk = new Walk(folder, of.from);
  const text = await readFile(of.file, "utf8");
  await walk.read(of.file, text, false);
  return { ...of, digest: digestOf(python, text, walk.files), loose: walk.loose };
}

/** Without references it is what it was before there were any: environments that stand keep their names. */
function digestOf(python: string, text: string, files: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256").update(`${python}\n${text}`);
  for (const path of [...files.keys()].toSorted()) hash.update(`\0${path}\0${files.get(path)}`);
  return hash.digest("hex");
}

/** Follows a requirements file through the version's folder. */
class Walk {
  /** Digests of what is referred to, by the path inside the version. */
  readonly files = new Map<string, string>();
  readonly loose: string[] = [];
  readonly #folder: string;
  readonly #from: string;
  readonly #read = new Set<string>();

  constructor(folder: string, from: string) {
    this.#folder = folder;
    this.#from = from;
  }

  async read(file: string, text: string, isConstraints: boolean): Promise<void> {
    const key = JSON.stringify([file, isConstraints]);
    if (this.#read.has(key)) return;
    this.#read.add(key);
    for (const line of requirementLines(text)) await this.#follow(file, line, isConstraints);
  }

  async #follow(file: string, line: RequirementLine, isConstraints: boolean): Promise<void> {
    switch (line.kind) {
      case "file": {
        const path = this.#inside(file, line, resolve(dirname(file), line.path));
        await this.#add(file, line, path);
        return this.read(path, await readFile(path, "utf8"), line.isConstraints);
      }
      case "archive":
        return this.#add(file, line, this.#inside(file, line, resolve(this.#from, line.path)));
      case "source":
        for (const path of line.paths) await this.#addSource(file, line, path);
        return undefined;
      case "refused":
        throw this.#refused(file, line, line.why);
      case "package":
        // A constraint brings nothing by itself.
        if (!line.isExact && !isConstraints) this.loose.push(line.text);
        return undefined;
    }
  }

  async #add(file: string, line: RequirementLine, path: string): Promise<void> {
    const found = await stat(path).catch(() => null);
    if (found?.isFile() !== true)
      throw this.#refused(file, line, `the version has no file ${this.#name(path)}`);
    this.files.set(this.#name(path), await digestOfFile(path));
  }

  /** A folder of packages, or a page of links; the installer does without one that is not there. */
  async #addSource(file: string, line: RequirementLine, named: string): Promise<void> {
    const near = this.#inside(file, line, resolve(dirname(file), named));
    const path = existsSync(near) ? near : this.#inside(file, line, resolve(this.#from, named));
    const found = await stat(path).catch(() => null);
    if (found === null) return undefined;
    if (!found.isDirectory()) return this.#add(file, line, path);
    for (const entry of await readdir(path, { withFileTypes: true, recursive: true }))
      if (entry.isFile()) await this.#add(file, line, join(entry.parentPath, entry.name));
    return undefined;
  }

  /** Variables are filled in by the installer: where such a path leads is not known here. */
  #inside(file: string, line: RequirementLine, path: string): string {
    const name = this.#name(path);
    if (name === ".." || name.startsWith("../") || /\$\{\w+\}/.test(line.text))
      throw this.#refused(file, line, "leads out of the version's folder");
    return path;
  }

  #name(path: string): string {
    return relative(this.#folder, path);
  }

  #refused(file: string, { text }: RequirementLine, why: string): LastgoodError {
    return new LastgoodError(
      "preflight.rejected",
      `the version's environment could not be made: ${this.#name(file)}: "${text}": ${why}`,
      {
        hint: "put what it names into the version's folder and name it by its path there, then register that: a version that is registered already needs a new name then",
      },
    );
  }
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
