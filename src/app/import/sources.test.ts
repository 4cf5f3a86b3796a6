import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { folderOffers } from "./folder-source.ts";
import { gitOffers } from "./git-source.ts";
import type { OfferedVersion } from "./offered-version.ts";

/** No file of a test is longer, bytes. */
const LARGE = 1_000_000;

let folder = "";
let workspace = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-import-"));
  workspace = mkdtempSync(join(tmpdir(), "lastgood-workspace-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  rmSync(workspace, { recursive: true });
});

function write(path: string, content: string): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
}

const named = (offers: readonly OfferedVersion[]): string[] =>
  offers.map(({ model, name }) => `${model}@${name}`);

/** What was brought, by path and content. */
async function brought(offer: OfferedVersion | undefined): Promise<Record<string, string>> {
  const { path } = (await offer?.bring(workspace, LARGE)) ?? { path: "" };
  const below = readdirSync(path, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    below
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [file.slice(path.length + 1), readFileSync(file, "utf8")]),
  );
}

test("numbered folders are versions, by their numbers and not their letters", async () => {
  for (const number of ["1", "2", "10", "notes", ".ipynb_checkpoints"])
    write(`fraud/${number}/model.onnx`, number);
  const offers = folderOffers(join(folder, "fraud"), null);
  expect(named(offers)).toEqual(["fraud@v1", "fraud@v2", "fraud@v10"]);
  expect(await brought(offers[2])).toEqual({ "model.onnx": "10" });
  expect(named(folderOffers(join(folder, "fraud"), "other"))[0]).toBe("other@v1");
});

test("a number may have zeros before it, and a folder may be a link", async () => {
  write("fraud/00000123/model.onnx", "123");
  write("elsewhere/model.onnx", "4");
  symlinkSync("../elsewhere", join(folder, "fraud/4"));
  const offers = folderOffers(join(folder, "fraud"), null);
  expect(named(offers)).toEqual(["fraud@v4", "fraud@v123"]);
  expect(await brought(offers[0])).toEqual({ "model.onnx": "4" });
  expect(await brought(offers[1])).toEqual({ "model.onnx": "123" });
});

test("a folder of models is a repository, as Triton has it; what ONNX Runtime does not run is refused", async () => {
  write("fraud/config.pbtxt", 'name: "fraud"\nplatform: "onnxruntime_onnx"\n');
  write("fraud/1/model.onnx", "1");
  write("churn/config.pbtxt", 'backend: "pytorch"\n');
  write("churn/7/model.pt", "7");
  write("docs/readme.md", "");
  const offers = folderOffers(folder, null);
  expect(named(offers)).toEqual(["churn@v7", "fraud@v1"]);
  await expect(offers[0]?.bring(workspace, LARGE)).rejects.toMatchObject({
    code: "artifact.invalid",
    message: expect.stringContaining("pytorch") as string,
  });
  expect(await brought(offers[1])).toEqual({ "model.onnx": "1" });
  const [launched] = folderOffers(folder, null, { launcher: "python" });
  expect(await brought(launched)).toEqual({ "model.pt": "7" });
  expect(() => folderOffers(folder, "one")).toThrow(/--as/);
});

test.each(["docs", "nowhere"])("a folder without versions is refused: %s", (name) => {
  write("docs/readme.md", "");
  expect(() => folderOffers(join(folder, name), null)).toThrow(
    expect.objectContaining({ code: "usage.invalid" }),
  );
});

function git(...args: readonly string[]): string {
  const identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"];
  return execFileSync("git", ["-C", folder, ...identity, ...args], { encoding: "utf8" });
}

function commit(...tagNames: readonly string[]): string {
  git("add", "-A");
  git("commit", "-qm", "a change");
  for (const name of tagNames) git("tag", "-a", name, "-m", name);
  return git("rev-parse", "HEAD").trim();
}

const md5 = (content: string): string => createHash("md5").update(content).digest("hex");

/** Puts a file where DVC 3 keeps it, and gives its md5. */
function cached(content: string, suffix = ""): string {
  const hash = md5(content);
  write(`.dvc/cache/files/md5/${hash.slice(0, 2)}/${hash.slice(2)}${suffix}`, content);
  return hash;
}

function pointer(path: string, hash: string): void {
  const name = path.split("/").at(-1) ?? "";
  write(`${path}.dvc`, `outs:\n- md5: ${hash}\n  size: 3\n  hash: md5\n  path: ${name}\n`);
}

test("versions of a repository with GTO and DVC are what they were at their tags", async () => {
  git("init", "-q");
  write(".gitignore", ".dvc/cache\n");
  write("dvc.yaml", "artifacts:\n  fraud:\n    path: models/fraud.onnx\n    type: model\n");
  pointer("models/fraud.onnx", cached("one"));
  const first = commit("fraud@v1.0.0", "fraud#prod#1");
  pointer("models/fraud.onnx", cached("two"));
  commit("fraud@v1.1.0", "fraud#prod#2", "unrelated");

  const offers = await gitOffers(wish());
  expect(named(offers)).toEqual(["fraud@v1.0.0", "fraud@v1.1.0"]);
  expect(offers.map(({ aliases }) => aliases)).toEqual([[], ["prod"]]);
  const one = await offers[0]?.bring(workspace, LARGE);
  expect(one?.lineage).toEqual({ git_commit: first });
  expect(readFileSync(one?.path ?? "", "utf8")).toBe("one");
  const two = await offers[1]?.bring(workspace, LARGE);
  expect(readFileSync(two?.path ?? "", "utf8")).toBe("two");

  const hash = md5("two");
  write(`.dvc/cache/files/md5/${hash.slice(0, 2)}/${hash.slice(2)}`, "rot");
  await expect(offers[1]?.bring(workspace, LARGE)).rejects.toMatchObject({
    code: "artifact.corrupt",
  });
  rmSync(join(folder, ".dvc/cache"), { recursive: true });
  await expect(offers[1]?.bring(workspace, LARGE)).rejects.toMatchObject({
    code: "artifact.missing",
    hint: expect.stringContaining("dvc fetch") as string,
  });
});

function wish(
  over: Partial<Parameters<typeof gitOffers>[0]> = {},
): Parameters<typeof gitOffers>[0] {
  return { repository: folder, artifact: null, version: null, path: null, as: null, ...over };
}

async function at(path: string): Promise<OfferedVersion | undefined> {
  return (await gitOffers(wish({ path })))[0];
}

test("a folder by DVC, a part of one, an output of a stage, and a file in git itself", async () => {
  git("init", "-q");
  write(".gitignore", ".dvc/cache\n");
  const list = JSON.stringify([
    { md5: cached("graph"), relpath: "model.onnx" },
    { md5: cached("more"), relpath: "sub/notes.txt" },
  ]);
  pointer("bundle", `${cached(list, ".dir")}.dir`);
  write(
    "dvc.lock",
    `schema: '2.0'\nstages:\n  train:\n    cmd: make\n    outs:\n    - path: out/m.onnx\n      md5: ${cached("built")}\n`,
  );
  write("plain/model.onnx", "in git");
  write("plain/example.json", "[]");
  commit("fraud@v1.0.0");
  expect(await brought(await at("bundle"))).toEqual({
    "model.onnx": "graph",
    "sub/notes.txt": "more",
  });
  const part = await (await at("bundle/model.onnx"))?.bring(workspace, LARGE);
  expect(readFileSync(part?.path ?? "", "utf8")).toBe("graph");
  const built = await (await at("out/m.onnx"))?.bring(workspace, LARGE);
  expect(readFileSync(built?.path ?? "", "utf8")).toBe("built");
  expect(await brought(await at("plain"))).toEqual({
    "model.onnx": "in git",
    "example.json": "[]",
  });
  for (const path of ["nowhere.onnx", "../outside", "/etc", ":/plain"])
    await expect((await at(path))?.bring(workspace, LARGE)).rejects.toMatchObject({
      code: expect.stringMatching(/^artifact\./) as string,
    });
});

/** A stage of a `dvc.lock` with one output. */
function locked(stage: string, path: string, text: string): string {
  return `  ${stage}:\n    outs:\n    - path: ${path}\n      md5: ${cached(text)}\n`;
}

test("outputs lie where their stage works, those of a loop as well", async () => {
  git("init", "-q");
  write(".gitignore", ".dvc/cache\n");
  write(
    "dvc.yaml",
    "stages:\n  train:\n    wdir: work/train\n    cmd: make\n" +
      "  each:\n    foreach: [a, b]\n    do:\n      wdir: loop\n      cmd: make\n",
  );
  write(
    "dvc.lock",
    `schema: '2.0'\nstages:\n${locked("train", "m.onnx", "trained")}${locked("each@a", "a.onnx", "looped")}${locked("plain", "p.onnx", "plain")}`,
  );
  commit("fraud@v1.0.0");
  for (const [path, text] of [
    ["work/train/m.onnx", "trained"],
    ["loop/a.onnx", "looped"],
    ["p.onnx", "plain"],
  ] as const) {
    const built = await (await at(path))?.bring(workspace, LARGE);
    expect(readFileSync(built?.path ?? "", "utf8")).toBe(text);
  }
});

test("what DVC tracks inside a folder of git is the file, not the pointer to it", async () => {
  git("init", "-q");
  write(".gitignore", ".dvc/cache\n");
  write("models/iris/MLmodel", "flavors: {}");
  pointer("models/iris/model.pkl", cached("weights"));
  write("models/iris/.gitignore", "/model.pkl\n/metrics\n");
  const list = JSON.stringify([{ md5: cached("deep"), relpath: "sub/a.bin" }]);
  pointer("models/iris/data/more", `${cached(list, ".dir")}.dir`);
  write("models/iris/data/.gitignore", "/more\n*.tmp\n");
  write("models/iris/notes.dvc", "a note that is no pointer");
  write("models/iris/scores.json", "{}");
  const outs = [
    ["models/iris/metrics", cached("built")],
    ["models/iris/scores.json", md5("a score that DVC does not cache")],
    ["models/churn.pkl", md5("of another model")],
  ].map(([path, hash]) => `    - path: ${path}\n      md5: ${hash}\n`);
  write("dvc.lock", `schema: '2.0'\nstages:\n  train:\n    outs:\n${outs.join("")}`);
  commit("iris@v1.0.0");
  expect(await brought(await at("models/iris"))).toEqual({
    MLmodel: "flavors: {}",
    "model.pkl": "weights",
    metrics: "built",
    "data/more/sub/a.bin": "deep",
    "data/.gitignore": "/more\n*.tmp\n",
    "notes.dvc": "a note that is no pointer",
    "scores.json": "{}",
  });

  const hash = md5("weights");
  rmSync(join(folder, `.dvc/cache/files/md5/${hash.slice(0, 2)}/${hash.slice(2)}`));
  await expect((await at("models/iris"))?.bring(workspace, LARGE)).rejects.toMatchObject({
    code: "artifact.missing",
    message: expect.stringContaining("models/iris/model.pkl is not in DVC's cache") as string,
    hint: expect.stringContaining("dvc fetch") as string,
  });
});

test("a file that DVC knows by no MD5 is refused by its name", async () => {
  git("init", "-q");
  write("models/iris/MLmodel", "flavors: {}");
  write("models/iris/model.pkl.dvc", "outs:\n- path: model.pkl\n  hash: etag\n  etag: ab\n");
  commit("iris@v1.0.0");
  await expect((await at("models/iris"))?.bring(workspace, LARGE)).rejects.toMatchObject({
    code: "artifact.invalid",
    message: expect.stringContaining("models/iris/model.pkl") as string,
  });
});

test("an artefact in a folder of a monorepo is described there; GTO alone has artifacts.yaml", async () => {
  git("init", "-q");
  write("nlp/artifacts.yaml", "churn:\n  path: churn.onnx\n");
  write("nlp/churn.onnx", "text");
  commit("nlp=churn@v2.0.0");
  const [offer] = await gitOffers(wish());
  expect(offer).toMatchObject({ model: "nlp-churn", name: "v2.0.0" });
  expect(readFileSync((await offer?.bring(workspace, LARGE))?.path ?? "", "utf8")).toBe("text");
  await expect(gitOffers(wish({ artifact: "fraud" }))).rejects.toMatchObject({
    hint: expect.stringContaining("nlp:churn") as string,
  });
});

test("a file in Git LFS is the file, not its pointer", async () => {
  git("init", "-q");
  const oid = createHash("sha256").update("large").digest("hex");
  write("m.onnx", `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 5\n`);
  commit("fraud@v1.0.0");
  const [offer] = await gitOffers(wish({ path: "m.onnx" }));
  await expect(offer?.bring(workspace, LARGE)).rejects.toMatchObject({ code: "artifact.missing" });
  write(`.git/lfs/objects/${oid.slice(0, 2)}/${oid.slice(2, 4)}/${oid}`, "large");
  expect(readFileSync((await offer?.bring(workspace, LARGE))?.path ?? "", "utf8")).toBe("large");
});

test("a folder of the repository, or another worktree of it, is the repository", async () => {
  git("init", "-q");
  const oid = createHash("sha256").update("large").digest("hex");
  write("m.onnx", `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 5\n`);
  write(`.git/lfs/objects/${oid.slice(0, 2)}/${oid.slice(2, 4)}/${oid}`, "large");
  write(".gitignore", ".dvc/cache\n");
  pointer("models/d.onnx", cached("by DVC"));
  commit("fraud@v1.0.0");
  const other = join(workspace, "worktree");
  git("worktree", "add", "-q", "--detach", other);
  const read = async (repository: string, path: string): Promise<string> => {
    const [offer] = await gitOffers(wish({ repository, path }));
    return readFileSync((await offer?.bring(workspace, LARGE))?.path ?? "", "utf8");
  };
  expect(await read(other, "m.onnx")).toBe("large");
  expect(await read(join(folder, "models"), "models/d.onnx")).toBe("by DVC");
});

test("what no tag registers is named, with what the tags do register", async () => {
  git("init", "-q");
  write("m.onnx", "x");
  commit("fraud@v1.0.0");
  git("tag", "fraud@v1.1.0");
  git("tag", "fraud@v1.1.0!");
  const taken = { artifact: "fraud", version: "v1.1.0" };
  await expect(gitOffers(wish(taken))).rejects.toMatchObject({
    message: expect.stringContaining("fraud@v1.1.0") as string,
    hint: "registered, and not taken back, are v1.0.0",
  });
});

test("a symbolic link in git is what it leads to at that commit: a file, a folder, what DVC or LFS keeps", async () => {
  git("init", "-q");
  write(".gitignore", ".dvc/cache\n");
  write("shared/weights.bin", "weights");
  write("shared/again.bin", "again");
  write("shared/deep/a.txt", "a");
  pointer("shared/kept.bin", cached("by DVC"));
  const oid = createHash("sha256").update("large").digest("hex");
  write(
    "shared/large.bin",
    `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 5\n`,
  );
  write(`.git/lfs/objects/${oid.slice(0, 2)}/${oid.slice(2, 4)}/${oid}`, "large");
  write("models/fraud/serve.py", "serve");
  const links = {
    "models/fraud/weights.bin": "../../shared/weights.bin",
    "models/fraud/deep": "../../also-shared/deep",
    "models/fraud/kept.bin": "../../shared/kept.bin",
    "models/fraud/large.bin": "./../../shared/large.bin",
    "models/fraud/again.bin": "deep/../again.bin",
    "also-shared": "shared",
    latest: "models/fraud",
  };
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(folder, path));
  commit("fraud@v1.0.0");
  write("shared/weights.bin", "changed since");
  commit();
  const expected = {
    "serve.py": "serve",
    "weights.bin": "weights",
    "deep/a.txt": "a",
    "kept.bin": "by DVC",
    "large.bin": "large",
    // As a file system reads it: `deep` is a link, and above it is `shared`.
    "again.bin": "again",
  };
  expect(await brought(await at("models/fraud"))).toEqual(expected);
  expect(await brought(await at("latest"))).toEqual(expected);
});

test.each([
  ["out of the repository", "../../../outside.bin", "out of the repository"],
  ["to a place of the machine", "/etc/hostname", "out of the repository"],
  ["to what git does not have", "../../.git/config", "nothing there"],
  ["to itself", "weights.bin", "circle"],
  ["to the folder it is in", "../fraud", "circle"],
  ["to the whole repository", "../..", "circle"],
])("a symbolic link that leads %s is refused by its name", async (_, target, why) => {
  git("init", "-q");
  write("models/fraud/serve.py", "serve");
  symlinkSync(target, join(folder, "models/fraud/weights.bin"));
  commit("fraud@v1.0.0");
  for (const path of ["models/fraud", "models/fraud/weights.bin"])
    await expect((await at(path))?.bring(workspace, LARGE)).rejects.toMatchObject({
      code: "artifact.invalid",
      message: expect.stringMatching(`models/fraud/weights\\.bin.*${why}`) as string,
    });
  expect(readdirSync(workspace)).toEqual([]);
});

function made(input: string, ...args: readonly string[]): string {
  return execFileSync("git", ["-C", folder, ...args], { input, encoding: "utf8" }).trim();
}

test("a tree whose names lead out of it is refused, and nothing is written there", async () => {
  git("init", "-q");
  const blob = made("evil", "hash-object", "-w", "--stdin");
  const out = made(`100644 blob ${blob}\tescaped\n`, "mktree");
  const up = made(`040000 tree ${out}\t..\n`, "mktree");
  const root = made(`040000 tree ${up}\tbundle\n`, "mktree");
  const identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"];
  git("tag", "fraud@v1.0.0", made("", ...identity, "commit-tree", root, "-m", "a tree"));
  await expect((await at("bundle"))?.bring(workspace, LARGE)).rejects.toMatchObject({
    code: "artifact.invalid",
  });
  expect(readdirSync(workspace)).toEqual([]);
});

test("where a model lies that nothing describes has to be said; what is no repository is refused", async () => {
  git("init", "-q");
  write("m.onnx", "x");
  commit("fraud@v1.0.0");
  const [offer] = await gitOffers(wish());
  await expect(offer?.bring(workspace, LARGE)).rejects.toMatchObject({
    hint: expect.stringContaining("--path") as string,
  });
  await expect(gitOffers(wish({ repository: workspace }))).rejects.toMatchObject({
    code: "usage.invalid",
  });
});
