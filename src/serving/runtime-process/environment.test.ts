import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { BUILT_IN_LAUNCHERS, type Launcher } from "../../core/launcher/index.ts";
import { listEnvironments } from "../../link/environment/index.ts";
import { markedProcesses } from "../../link/process-tree/index.ts";
import { environmentOf } from "./environment.ts";
import { RotatedLog } from "./rotated-log.ts";

const MARK = "/run/environment.test.sock:1;";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-environment-"));
});
afterEach(() => {
  delete process.env["LASTGOOD_SECRET"];
  rmSync(folder, { recursive: true, force: true });
});

/** Makes an environment with an interpreter that is a shell script. */
function madeBy(script: string, changes: Partial<Launcher> = {}, isBento = false) {
  const python = join(folder, "python");
  writeFileSync(python, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  if (!isBento) writeFileSync(join(folder, "requirements.txt"), "six==1.16.0\n");
  const { python: builtIn } = BUILT_IN_LAUNCHERS;
  if (builtIn === undefined) throw new Error("there is no python");
  return environmentOf(
    { dataDir: folder, folder, digest: `sha256:${"ab".repeat(32)}` },
    {
      launcher: { ...builtIn, python, ...changes },
      log: new RotatedLog(join(folder, "log")),
      mark: MARK,
    },
  );
}

test("an installer knows no setting of ours", async () => {
  process.env["LASTGOOD_SECRET"] = "hunter2";
  const failed = madeBy('echo "secret: $LASTGOOD_SECRET, home: $HOME"; exit 1');
  await expect(failed).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringMatching(/secret: , home: ./) as string,
  });
});

test("an installation that takes too long ends with all it started, and says which setting ended it", async () => {
  // A compiler is no child of the installer's any more when that ends, and keeps its output open.
  const failed = madeBy("sleep 60 &\nwait", { installTimeoutMs: 300 });
  await expect(failed).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringContaining("not done within 300 ms: installTimeout") as string,
    hint: expect.stringContaining("raise installTimeout") as string,
  });
  expect(markedProcesses(MARK)).toEqual([]);
  expect(await listEnvironments(folder)).toEqual([]);
});

test("the requirements of a Bento are where bentoml build writes them", async () => {
  mkdirSync(join(folder, "env", "python"), { recursive: true });
  writeFileSync(join(folder, "bento.yaml"), "service: service:Sum\n");
  writeFileSync(join(folder, "env", "python", "requirements.txt"), "bentoml==1.4.40\n");
  // The file that is installed comes last.
  const script = `case "$*" in
    *--version) echo "pip 25.0 from /somewhere (python 3.13)";;
    *" -r "*) for last; do :; done; cat "$last"; exit 1;; esac`;
  await expect(madeBy(script, {}, true)).rejects.toMatchObject({
    message: expect.stringContaining("bentoml==1.4.40") as string,
  });
});

/** An interpreter whose pip is this one; a venv with pip gets a pip of its own. */
function withPip(version: string): string {
  return `case "$*" in
    "-m pip --version") echo "WARNING: cache"; echo "pip ${version} from /somewhere (python 3.10)";;
    "-m venv --without-pip "*) mkdir -p "$4/bin";;
    "-m venv "*) mkdir -p "$3/bin"; printf '#!/bin/sh\\necho "own: $*"; exit 1\\n' > "$3/bin/python"; chmod +x "$3/bin/python";;
    *" --python "*) echo "shared: $*"; exit 1;;
    *) echo "unknown: $*"; exit 1;;
  esac`;
}

test.each([
  ["20.0.2", "own"],
  ["21.3.1", "own"],
  ["22.0.2", "own"],
  ["22.2.2", "own"],
  ["22.3", "shared"],
  ["23.0.1", "shared"],
  ["26.1.dev0", "shared"],
  ["of nobody knows when", "own"],
])("pip %s installs as the environment's %s", async (version, which) => {
  await expect(madeBy(withPip(version))).rejects.toMatchObject({
    message: expect.stringContaining(`pip install: ${which}: `) as string,
  });
});

test("of an installation that a full disk ended nothing stays, and it says to make room", async () => {
  const script = `case "$*" in
    *--version) echo "pip 25.0 from /somewhere (python 3.13)";;
    "-m venv "*) mkdir -p "$4/lib"; echo half > "$4/lib/half";;
    *) echo "ERROR: [Errno 28] No space left on device"; exit 1;;
  esac`;
  await expect(madeBy(script)).rejects.toMatchObject({
    code: "preflight.rejected",
    hint: expect.stringContaining("make room on the disk") as string,
  });
  expect(await listEnvironments(folder)).toEqual([]);
});

test("where no environment can be made, what to install is said", async () => {
  const script = `case "$*" in "-m venv "*) echo "ensurepip is not available";; esac; exit 1`;
  await expect(madeBy(script)).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringContaining("-m venv: ensurepip is not available") as string,
    hint: expect.stringContaining("apt install python3-venv") as string,
  });
});
