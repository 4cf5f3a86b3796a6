import { spawn } from "node:child_process";
import { dirname, join, resolve as absolute } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Launcher } from "../../core/launcher/index.ts";
import { useEnvironment } from "../../link/environment/index.ts";
import { endProcesses, markedProcesses, PROCESS_MARK } from "../../link/process-tree/index.ts";
import { inheritedVariables } from "./inherited-variables.ts";
import { readRequirements, requirementsFile, type RequirementsFile } from "./requirements.ts";
import type { RotatedLog } from "./rotated-log.ts";

const PIP_INSTALL = ["install", "--disable-pip-version-check", "--no-input", "-q"] as const;
/** Of an installer's output, what says why it failed. */
const LINES_SHOWN = 8;
/** How it is said that an installer was ended for taking too long. */
const NOT_DONE = "not done within";

/** What making an environment takes. */
interface Making {
  readonly launcher: Launcher;
  readonly log: RotatedLog;
  /** Marks the installer as the shim's own. */
  readonly mark: string;
}

/** What a server runs in. */
export interface Environment {
  /** The interpreter. */
  readonly python: string;
  /** Folder of its programs, to be first in PATH; null where the interpreter is looked up there. */
  readonly programs: string | null;
  /** For people: `sha256:1234abcd (locked)`, `unmanaged: …`. */
  readonly text: string;
  /** Every requirement is locked, and this environment is made of them alone. */
  readonly isManaged: boolean;
  /** Called when nothing runs in it any more. */
  release(): void;
}

/** Of an interpreter that is not ours to remove. */
function release(): void {
  return undefined;
}

function unmanaged(python: string, why: string): Environment {
  // Servers call programs that lie beside their interpreter, as MLflow does uvicorn.
  const programs = python.includes("/") ? dirname(python) : null;
  return { python, programs, text: `unmanaged: ${why}`, isManaged: false, release };
}

interface Ran {
  readonly ok: boolean;
  readonly output: string;
}

function run(program: string, args: readonly string[], around: Making): Promise<Ran> {
  const { installTimeoutMs } = around.launcher;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...inheritedVariables(), [PROCESS_MARK]: around.mark },
    });
    let output = "";
    let allGone = Promise.resolve();
    const timer = setTimeout(() => {
      output += `\n${NOT_DONE} ${installTimeoutMs} ms: installTimeout of its launcher`;
      child.kill("SIGKILL");
      // What it started, a compiler, goes on without it, and holds its output open.
      allGone = endProcesses(() => markedProcesses(around.mark));
      child.stdout.destroy();
      child.stderr.destroy();
    }, installTimeoutMs);
    const take = (chunk: Buffer): void => {
      around.log.write(chunk);
      output = (output + chunk.toString()).slice(-20_000);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => {
      clearTimeout(timer);
      resolve({ ok: false, output: error.message });
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      const cut = signal === null || child.killed ? "" : `\nended with ${signal}`;
      void allGone.then(() => resolve({ ok: code === 0, output: output + cut }));
    });
  });
}

const WRONG_FILE =
  "correct the requirements file; a version that is registered already needs a new name then";
const NO_VENV =
  "install the venv module of this Python with its pip (on Debian and Ubuntu: apt install python3-venv), or name another interpreter: python of its launcher";

const NO_ROOM =
  "make room on the disk of the data folder (lastgood gc says which environments nothing needs), then do it again";
const TOO_SLOW = "raise installTimeout of its launcher, or see why the installation hangs";

/** What to do where an installer ended with this. */
function hintOf(output: string, otherwise: string): string {
  if (/No space left on device|Disk quota exceeded/i.test(output)) return NO_ROOM;
  return output.includes(NOT_DONE) ? TOO_SLOW : otherwise;
}

function failed(what: string, output: string, hint: string): LastgoodError {
  const lines = output
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("[notice]"))
    .slice(-LINES_SHOWN);
  return new LastgoodError(
    "preflight.rejected",
    `the version's environment could not be made: ${what}: ${lines.join("\n")}`,
    { hint },
  );
}

/**
 * Runs pip where the version's files lie, without looking for modules there: neither those of the version
 * nor the interpreter that a file of it may choose are the installer's.
 */
const PIP_IN = `import os, runpy, sys
sys.path = [path for path in sys.path if path]
os.chdir(sys.argv.pop(1))
runpy.run_module("pip", run_name="__main__", alter_sys=True)`;

/** Whether a pip that says this of itself can install for another interpreter: `--python` is of 22.3. */
function installsElsewhere(version: string): boolean {
  const [, major, minor] = /^pip (\d+)\.(\d+)/m.exec(version) ?? [];
  return Number(major) > 22 || (Number(major) === 22 && Number(minor) >= 3);
}

async function make(folder: string, requirements: RequirementsFile, around: Making): Promise<void> {
  const { launcher } = around;
  const python = absolute(folder, "bin", "python");
  // An installer of its own would take longer to make than all the rest.
  const pipThere = await run(launcher.python, ["-m", "pip", "--version"], around);
  const isShared = pipThere.ok && installsElsewhere(pipThere.output);
  const venv = ["-m", "venv", ...(isShared ? ["--without-pip"] : []), folder];
  const made = await run(launcher.python, venv, around);
  if (!made.ok)
    throw failed(`${launcher.python} -m venv`, made.output, hintOf(made.output, NO_VENV));
  const [program, into] = isShared ? [launcher.python, ["--python", python]] : [python, []];
  const pip = ["-c", PIP_IN, absolute(requirements.from), ...into, ...PIP_INSTALL];
  const installed = await run(program, [...pip, "-r", absolute(requirements.file)], around);
  if (!installed.ok)
    throw failed("pip install", installed.output, hintOf(installed.output, WRONG_FILE));
}

/**
 * The environment of a version: made of its requirements file and what that refers to, once for all
 * versions that have the same; the interpreter as it is where there is none.
 * @throws `preflight.rejected` with the installer's last lines; `runtime.timeout`.
 */
export async function environmentOf(
  version: { readonly dataDir: string; readonly folder: string; readonly digest: string },
  around: Making,
): Promise<Environment> {
  const { launcher } = around;
  if (launcher.environment === "none")
    return unmanaged(launcher.python, "the launcher makes no environment");
  const file = requirementsFile(version.folder, launcher);
  if (file === null)
    return unmanaged(launcher.python, `the version has no ${launcher.requirements}`);
  const requirements = await readRequirements(version.folder, file, launcher.python);
  const { digest, loose } = requirements;
  const used = await useEnvironment(
    version.dataDir,
    { requirements: digest, version: version.digest },
    {
      make: (folder) => make(folder, requirements, around),
      timeoutMs: launcher.installTimeoutMs,
    },
  );
  const name = `sha256:${digest.slice(0, 12)}`;
  const programs = join(used.folder, "bin");
  return {
    release: () => used.release(),
    python: join(programs, "python"),
    programs,
    isManaged: loose.length === 0,
    text:
      loose.length === 0
        ? `${name} (locked)`
        : `unmanaged: ${loose.slice(0, 3).join(", ")} ${loose.length === 1 ? "is" : "are"} no exact version`,
  };
}
