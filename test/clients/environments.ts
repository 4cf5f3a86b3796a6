/**
 * Python environments of the tests with real servers and clients: one for each file of
 * `requirements/`, under `.tmp/clients/`, made once for the same requirements.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const REQUIREMENTS = join(import.meta.dirname, "requirements");
/** Written last: without it an installation was cut short and is begun anew. */
const READY = ".ready";

function fileOf(name: string): string {
  return join(REQUIREMENTS, `${name}.txt`);
}

function folderOf(name: string): string {
  const digest = createHash("sha256")
    .update(readFileSync(fileOf(name)))
    .digest("hex")
    .slice(0, 12);
  return join(ROOT, ".tmp", "clients", `${name}-${digest}`);
}

/** The interpreter of an environment. */
export function pythonOf(name: string): string {
  const folder = folderOf(name);
  if (!existsSync(join(folder, READY)))
    throw new Error(`there is no environment ${name}: run the tests by npm run test:clients`);
  return join(folder, "bin", "python");
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
}

/** Makes an environment unless it is there. */
function make(name: string): void {
  const folder = folderOf(name);
  if (existsSync(join(folder, READY))) return;
  process.stderr.write(`making the Python environment ${name} …\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  run("python3", "-m", "venv", folder);
  const python = join(folder, "bin", "python");
  run(python, "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r", fileOf(name));
  writeFileSync(join(folder, READY), "");
}

/** Makes every environment that is not there. */
export function makeEnvironments(): void {
  for (const file of readdirSync(REQUIREMENTS)) make(basename(file, ".txt"));
}
