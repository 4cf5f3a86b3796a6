import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { BUILT_IN_LAUNCHERS } from "../../core/launcher/index.ts";
import { readRequirements, requirementsFile, type Requirements } from "./requirements.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-requirements-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

/** What a version of these files needs. */
async function read(files: Files, requirements = "requirements.txt"): Promise<Requirements> {
  rmSync(folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const { python } = BUILT_IN_LAUNCHERS;
  if (python === undefined) throw new Error("there is no python");
  const file = requirementsFile(folder, { ...python, requirements });
  if (file === null) throw new Error("the version has no requirements");
  return readRequirements(folder, file, "python3");
}

/** Whether it matters to the environment what the file says. */
async function matters(path: string, files: Files): Promise<boolean> {
  const one = await read({ ...files, [path]: "a==1" });
  const other = await read({ ...files, [path]: "a==2" });
  return one.digest !== other.digest;
}

test("an environment of requirements that refer to nothing keeps its name", async () => {
  const text = "--index-url https://host/simple\n--find-links /srv/wheels\nsix==1.16.0\n";
  const { digest } = await read({ "requirements.txt": text, "base.txt": "unused" });
  expect(digest).toBe(createHash("sha256").update(`python3\n${text}`).digest("hex"));
});

test.each([
  ["-c constraints.txt", "constraints.txt"],
  ["-cconstraints.txt", "constraints.txt"],
  ["--constraint constraints.txt", "constraints.txt"],
  ["--constraint=constraints.txt  # of MLflow", "constraints.txt"],
  ["--constr constraints.txt", "constraints.txt"],
  ["-r base.txt", "base.txt"],
  ["-r 'two words.txt'", "two words.txt"],
  ["--requirement \\\n  base.txt", "base.txt"],
  ["--requirement=./more/base.txt", "more/base.txt"],
  ["./wheels/x-1.0-py3-none-any.whl", "wheels/x-1.0-py3-none-any.whl"],
  ["wheels/x-1.0.tar.gz ; python_version > '3'", "wheels/x-1.0.tar.gz"],
  ["x-1.0-py3-none-any.whl[extra] --hash=sha256:aa", "x-1.0-py3-none-any.whl"],
  ["--find-links wheels", "wheels/x-1.0-py3-none-any.whl"],
  ["--no-index -f ./wheels", "wheels/deep/x-1.0-py3-none-any.whl"],
])("what %j refers to is part of the environment", async (line, path) => {
  expect(await matters(path, { "requirements.txt": `${line}\nsix==1.16.0\n` })).toBe(true);
  expect(await matters("other.txt", { "requirements.txt": line, [path]: "" })).toBe(false);
});

test("files are followed from where they are named, wheels from where the installer runs, in a circle too", async () => {
  const files = {
    "requirements.txt": "-r deps/base.txt\n",
    "deps/base.txt": "-c pins.txt\n-r ../requirements.txt\n./wheels/x-1.0-py3-none-any.whl\n",
    "wheels/x-1.0-py3-none-any.whl": "",
    "deps/pins.txt": "",
  };
  expect(await matters("deps/pins.txt", files)).toBe(true);
  expect(await matters("wheels/x-1.0-py3-none-any.whl", files)).toBe(true);
});

test("the wheels of a Bento are named from its requirements", async () => {
  const files = {
    "bento.yaml": "",
    "env/python/requirements.txt": "./wheels/x-1.0-py3-none-any.whl\n",
  };
  expect(await matters("env/python/wheels/x-1.0-py3-none-any.whl", files)).toBe(true);
});

test.each([
  ["-c ../../constraints.txt", "leads out of the version's folder"],
  ["-r /etc/base.txt", "leads out of the version's folder"],
  ["-r ${HOME}/base.txt", "leads out of the version's folder"],
  ["/srv/x-1.0-py3-none-any.whl", "leads out of the version's folder"],
  ["--find-links ../wheels", "leads out of the version's folder"],
  ["-c constraints.txt", "the version has no file in/constraints.txt"],
  ["./x-1.0-py3-none-any.whl", "the version has no file x-1.0-py3-none-any.whl"],
  ["x @ file:///srv/x.whl", "is a file: URL"],
  ["-r file:///srv/base.txt", "is a file: URL"],
  ["-e .", "is a folder to build from"],
  ["./library", "is a folder to build from"],
])("%j is refused in words", async (line, why) => {
  await expect(
    read({ "requirements.txt": "-r in/more.txt", "in/more.txt": line }),
  ).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringContaining(`in/more.txt: "${line}": ${why}`) as string,
    hint: expect.stringContaining("into the version's folder") as string,
  });
});

test("requirements that say one exact version are locked", async () => {
  const text = [
    "# pinned by hand",
    "numpy==2.1.0",
    "mlflow[extras]==3.1.4  # the server",
    "scikit-learn == 1.5.2 ; python_version >= '3.9'",
    "pandas===2.2.3",
    "--index-url https://host/simple",
    "--extra-index-url=https://host/other",
    "--find-links ${WHEELS}",
    "--require-hashes",
    "cloudpickle==3.1.0 \\",
    "    --hash=sha256:aaaa \\",
    "    --hash=sha256:bbbb",
    "-c constraints.txt",
    "-r base.txt",
    "./x-1.0-py3-none-any.whl",
    "",
  ].join("\n");
  const files = {
    "requirements.txt": text,
    "constraints.txt": "setuptools<82\n",
    "base.txt": "six==1.16.0\n",
    "x-1.0-py3-none-any.whl": "",
  };
  expect((await read(files)).loose).toEqual([]);
});

test("everything else may bring something else tomorrow, and is named", async () => {
  const loose = [
    "numpy",
    "numpy>=2",
    "numpy==2.*",
    "numpy==2.1,!=2.1.1",
    "--pre",
    "-c https://host/constraints.txt",
    "-e git+https://host/x.git",
    "x @ https://host/x.whl",
    "https://host/y.tar.gz",
  ];
  const text = [...loose, "-r base.txt"].join("\n");
  const files = { "requirements.txt": text, "base.txt": "pandas\n" };
  expect((await read(files)).loose).toEqual([...loose, "pandas"]);
});
