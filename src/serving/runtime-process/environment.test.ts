import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { BUILT_IN_LAUNCHERS } from "../../core/launcher/index.ts";
import { markedProcesses } from "../../link/process-tree/index.ts";
import { environmentOf, unlocked } from "./environment.ts";
import { RotatedLog } from "./rotated-log.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-environment-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("requirements that say one exact version are locked", () => {
  const text = [
    "# pinned by hand",
    "numpy==2.1.0",
    "mlflow[extras]==3.1.4  # the server",
    "scikit-learn == 1.5.2 ; python_version >= '3.9'",
    "pandas===2.2.3",
    "cloudpickle==3.1.0 \\",
    "    --hash=sha256:aaaa \\",
    "    --hash=sha256:bbbb",
    "",
  ].join("\n");
  expect(unlocked(text)).toEqual([]);
});

test("everything else may bring something else tomorrow, and is named", () => {
  const loose = [
    "numpy",
    "numpy>=2",
    "numpy==2.*",
    "numpy==2.1,!=2.1.1",
    "-r more.txt",
    "./wheel",
    "x @ https://host/x.whl",
  ];
  expect(unlocked(loose.join("\n"))).toEqual(loose);
});

test("an installation is given up with all that it has started", async () => {
  // A compiler is no child of the installer's any more when that ends, and keeps its output.
  const python = join(folder, "python");
  writeFileSync(python, "#!/bin/sh\nsleep 60 &\nwait\n", { mode: 0o755 });
  writeFileSync(join(folder, "requirements.txt"), "numpy==2.1.0\n");
  const [base] = Object.values(BUILT_IN_LAUNCHERS);
  if (base === undefined) throw new Error("no launcher is built in");
  const mark = `${folder}/it.sock:1;`;
  const making = environmentOf(
    { dataDir: folder, folder, digest: `sha256:${"0".repeat(64)}` },
    {
      launcher: { ...base, python, environment: "venv", installTimeoutMs: 300 },
      log: new RotatedLog(join(folder, "server.log")),
      mark,
    },
  );
  await expect(making).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringContaining("not done within 300 ms") as string,
  });
  expect(markedProcesses(mark)).toEqual([]);
});
