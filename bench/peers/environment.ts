import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const INSTALL_MS = 20 * 60_000;
const LINES_KEPT = 4_000;

/** A virtual environment, or why there is none: the installer's last line. */
export type Environment =
  | { readonly bin: (program: string) => string; readonly missing: null }
  | { readonly bin: null; readonly missing: string };

interface Ran {
  readonly ok: boolean;
  readonly lastLine: string;
}

function run(command: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], timeout: INSTALL_MS });
    let text = "";
    const take = (chunk: Buffer): void => {
      text = (text + chunk.toString()).slice(-LINES_KEPT);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => resolve({ ok: false, lastLine: error.message }));
    child.once("close", (code) => {
      const lastLine = text.trim().split("\n").at(-1) ?? "";
      resolve({ ok: code === 0, lastLine: lastLine === "" ? `exit code ${code}` : lastLine });
    });
  });
}

/** The requirements of a peer: exact versions of all it needs, as `pip freeze` writes them. */
function requirementsOf(name: string): string {
  return join(import.meta.dirname, "requirements", `${name}.txt`);
}

/**
 * The virtual environment `folder/name` with exactly the requirements of a peer. It is kept, and made
 * anew when they have changed.
 */
export async function environment(
  name: string,
  folder: string,
  say: (text: string) => void,
): Promise<Environment> {
  const requirements = requirementsOf(name);
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const home = join(folder, name);
  const mark = join(home, "requirements.sha256");
  const bin = (program: string): string => join(home, "bin", program);
  if (existsSync(mark) && readFileSync(mark, "utf8") === digest) return { bin, missing: null };
  say(`installing ${name}`);
  rmSync(home, { recursive: true, force: true });
  const python = process.env["BENCH_PYTHON"] ?? "python3";
  // The list is whole, so that there is nothing to resolve.
  const pip = "-m pip install --quiet --disable-pip-version-check --no-input --no-deps".split(" ");
  for (const [command, args] of [
    [python, ["-m", "venv", home]],
    [bin("python"), [...pip, "-r", requirements]],
  ] as const) {
    const { ok, lastLine } = await run(command, args);
    if (!ok) return { bin: null, missing: lastLine };
  }
  writeFileSync(mark, digest);
  return { bin, missing: null };
}
