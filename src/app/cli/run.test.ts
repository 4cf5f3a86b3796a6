import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { ERROR_CODES, LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import { PROGRAM_VERSION } from "../build/index.ts";
import { runCli } from "./run.ts";
import { VERBS } from "./verb-table.ts";

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

const folder = mkdtempSync(join(tmpdir(), "lastgood-cli-"));
const refusal = new LastgoodError("target.none", "no version to go back to", {
  hint: "deploy another one",
  details: { endpoint: "fraud-prod" },
  passedOver: [{ version: "v1.1", why: "failed: error rate" }],
});
let server: Server;
let url = "";
let calls: Call[] = [];
let answer: { readonly status: number; readonly body: unknown };

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const isJson = request.headers["content-type"] === "application/json" && text !== "";
      calls.push({
        method: request.method ?? "",
        path: request.url ?? "",
        body: isJson ? JSON.parse(text) : text,
      });
      response.writeHead(answer.status, { "content-type": "application/json" });
      response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  calls = [];
  answer = { status: 409, body: refusal.toBody() };
});

interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  let out = "";
  let err = "";
  const exitCode = await runCli({
    argv,
    env: { HOME: folder, LASTGOOD_URL: url, LASTGOOD_ACTOR: "tester", ...env },
    programFolder: folder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    isTerminal: false,
    colour: false,
  });
  return { exitCode, out, err };
}

test("--version belongs to the verb behind it: rollback --version v1.1 rolls back to v1.1", async () => {
  await run(["rollback", "--version", "v1.1"]);
  await run(["rollback", "fraud-prod", "--version", "3"]);
  await run(["rollback", "--version=v1.0", "fraud-prod"]);
  expect(calls.map(({ path, body }) => [path, body])).toEqual([
    ["/api/v1/rollback", expect.objectContaining({ endpoint: null, version: "v1.1" })],
    ["/api/v1/rollback", expect.objectContaining({ endpoint: "fraud-prod", version: "3" })],
    ["/api/v1/rollback", expect.objectContaining({ endpoint: "fraud-prod", version: "v1.0" })],
  ]);
  expect((await run(["--version"])).out).toBe(`${PROGRAM_VERSION}\n`);
});

test("undo is rollback, and a reference may stand in the endpoint's place", async () => {
  await run(["undo", "fraud@v1.0", "--reason", "wrong scores", "--keep-status"]);
  expect(calls[0]?.body).toEqual({
    endpoint: "fraud",
    version: "fraud@v1.0",
    toRevision: null,
    dryRun: false,
    force: false,
    again: false,
    keepStatus: true,
    ifCurrent: null,
    trigger: "manual",
    reason: "wrong scores",
    actor: "tester",
  });
});

test("an error says what, lists what was looked at, and what to type next", async () => {
  const { exitCode, out, err } = await run(["rollback"]);
  expect(exitCode).toBe(4);
  expect(out).toBe("");
  expect(err).toBe(
    "error: no version to go back to\n  v1.1: failed: error rate\nnext: deploy another one\n",
  );
});

test("with --json an error is one JSON value on stdout", async () => {
  const { exitCode, out, err } = await run(["rollback", "--json"]);
  expect(exitCode).toBe(4);
  expect(err).toBe("");
  expect(JSON.parse(out)).toEqual({ error: refusal.toBody() });
});

test("every error code leaves with the exit code of its table", async () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const error = new LastgoodError(code, "so it is");
    answer = { status: error.traits.http, body: error.toBody() };
    const { exitCode, out } = await run(["status", "--json"]);
    expect([code, exitCode]).toEqual([code, ERROR_CODES[code].exit]);
    expect(JSON.parse(out)).toEqual({ error: error.toBody() });
  }
});

test("the exit codes are those that scripts rely on", () => {
  const byExit: Record<number, string[]> = {};
  for (const [code, { exit }] of Object.entries(ERROR_CODES)) (byExit[exit] ??= []).push(code);
  expect(Object.keys(byExit)).toEqual(["1", "2", "3", "4", "5", "6"]);
  expect(byExit[2]).toEqual([
    "usage.invalid",
    "input.invalid",
    "name.invalid",
    "name.reserved",
    "reference.invalid",
    "endpoint.ambiguous",
    "config.invalid",
    "evidence.invalid",
  ]);
  expect(byExit[3]).toEqual(["rollout.rolled-back"]);
  expect(byExit[5]).toEqual(["wait.undecided", "wait.person"]);
  expect(byExit[6]).toEqual(["rollout.superseded"]);
  expect(byExit[4]).toContain("target.none");
  expect(byExit[4]).toContain("rollout.in-progress");
  expect(byExit[4]).toContain("current.mismatch");
  expect(byExit[4]).toContain("version.exists");
});

test.each([
  [["rolback"], "did you mean rollback?"],
  [["rollback", "--versoin", "v1"], "did you mean --version?"],
  [["rollout", "promot"], "did you mean promote?"],
  [["frobnicate"], "lastgood --help shows what is understood"],
  [["help", "frobnicate"], "lastgood --help shows what is understood"],
  [["rolback", "--help"], "did you mean rollback?"],
  [["rollout", "pause", "a", "b"], "lastgood rollout pause --help shows what is understood"],
])("%j is not understood: %s", async (argv, hint) => {
  const { exitCode, err } = await run(argv);
  expect(exitCode).toBe(2);
  expect(err).toContain(`next: ${hint}\n`);
  expect(calls).toEqual([]);
});

test.each([
  [["rollout"]],
  [["deploy"]],
  [["deploy", "fraud@v1", "more"]],
  [["deploy", "fraud@v1", "--strategy", "magic"]],
  [["deploy", "fraud@v1", "--bake", "soon"]],
  [["deploy", "fraud@v1", "--weight", "ten"]],
  [["rollback", "--version", "v1", "--to-revision", "2"]],
  [["rollback", "--to-revision", "0"]],
  [["rollout", "set-weight", "much"]],
  [["register", "fraud"]],
  [["register", "fraud", "./no-such-file.onnx"]],
  [["register", "fraud", "--runtime", "remote"]],
  [["register", "../fraud", "model.onnx"]],
  [["register", "fraud", "model.onnx", "--metric", "auc"]],
  [["register", "fraud", "model.onnx", "--version", "latest"]],
  [["register", "fraud", "model.onnx", "--version", "7"]],
  [["mark", "fraud@v1", "good"]],
  [["reinstate"]],
  [["history", "--expect", "abc"]],
  [["history", "--verify", "--expect", "3f9c"]],
  [["tag", "fraud@v1", "__proto__=x"]],
  [["register", "fraud", "model.onnx", "--metric", "__proto__=1"]],
  [["serve", "--api-address", "127.0.0.1:5999", "--serve-address", "127.0.0.1:5999"]],
  [["serve", "-p", "5999", "--grpc-address", "127.0.0.1:5999"]],
  [["diff", "fraud"]],
  [["tag", "fraud@v1"]],
  [["alias", "fraud@v1"]],
  [["alias", "fraud@v1", "v2"]],
  [["serve", "--workers", "0"]],
  [["serve", "--api-address", "0.0.0.0:5000"]],
  [["completion", "tcsh"]],
  [["rollback", ""]],
  [["rollback", "x".repeat(200)]],
  [["rollback", "--reason", "x".repeat(3000)]],
  [["history", ""]],
  [["versions", ""]],
  [["incident", ""]],
  [["explain", ""]],
  [["policy", "show", ""]],
  [["show", "fraud", ""]],
  [["deploy", ""]],
  [["deploy", "x".repeat(400)]],
  [["deploy", "fraud@v1", "--to", ""]],
])("%j is a usage error and asks nothing of the server", async (argv) => {
  const { exitCode, out } = await run([...argv, "--json"]);
  expect(exitCode).toBe(2);
  const { error } = JSON.parse(out) as { error: { message: string; hint: string } };
  expect(error.message).not.toBe("");
  expect(error.hint).not.toBe("");
  expect(calls).toEqual([]);
});

test("where arguments are missing it is said which", async () => {
  const shown = await run(["show"]);
  expect(shown.err).toContain("error: something is missing: lastgood show <version> [options]\n");
  const weighed = await run(["rollout", "set-weight"]);
  expect(weighed.err).toContain("lastgood rollout set-weight <percent> [endpoint]");
});

test("help knows the commands within a verb", async () => {
  const { exitCode, out } = await run(["help", "rollout", "promote"]);
  expect(exitCode).toBe(0);
  expect(out).toContain("Usage: lastgood rollout promote");
});

test("deploy sends what was asked for", async () => {
  await run(["deploy", "fraud@v1.1", "--strategy", "canary", "--weight", "10%", "--bake", "5m"]);
  expect(calls[0]).toMatchObject({
    method: "POST",
    path: "/api/v1/deploy",
    body: { reference: "fraud@v1.1", endpoint: null, strategy: "canary", weight: 10, bakeMs: 3e5 },
  });
});

test("set-weight reads its words in either order", async () => {
  await run(["rollout", "set-weight", "25", "fraud-prod"]);
  await run(["rollout", "set-weight", "fraud-prod", "25%"]);
  await run(["rollout", "set-weight", "25"]);
  expect(calls.map((call) => call.body)).toMatchObject([
    { command: "set-weight", endpoint: "fraud-prod", weight: 25 },
    { command: "set-weight", endpoint: "fraud-prod", weight: 25 },
    { command: "set-weight", endpoint: null, weight: 25 },
  ]);
});

async function actor(argv: string[], env: Record<string, string>): Promise<unknown> {
  calls = [];
  await run(["rollback", ...argv], { LASTGOOD_ACTOR: "", ...env });
  return calls[0]?.body;
}

test("the actor is the flag's, the variable's, the CI job's, else user@host", async () => {
  expect(await actor(["--actor", "me"], { LASTGOOD_ACTOR: "you" })).toMatchObject({ actor: "me" });
  expect(await actor([], { LASTGOOD_ACTOR: "you", GITHUB_ACTOR: "octo" })).toMatchObject({
    actor: "you",
  });
  expect(await actor([], { GITHUB_ACTOR: "octo" })).toMatchObject({ actor: "octo" });
  expect(await actor([], { GITLAB_USER_LOGIN: "tanuki" })).toMatchObject({ actor: "tanuki" });
  expect(await actor([], {})).toMatchObject({ actor: expect.stringMatching(/^.+@.+$/) });
});

test("without a server on the data folder the error says how to start one", async () => {
  const { exitCode, err } = await run(["status"], { LASTGOOD_URL: "" });
  expect(exitCode).toBe(1);
  expect(err).toContain(`no server runs on the data folder ${folder}/.local/share/lastgood\n`);
  expect(err).toContain("next: start one with: lastgood serve");
});

test("config show --origin names where each value comes from", async () => {
  const { out } = await run(["config", "show", "--origin", "--json", "--workers", "5"]);
  const { settings } = JSON.parse(out) as { settings: { key: string }[] };
  expect(settings.find((each) => each.key === "workers")).toEqual({
    key: "workers",
    env: "LASTGOOD_WORKERS",
    value: "5",
    origin: { from: "flag", name: "--workers" },
  });
  expect(settings.find((each) => each.key === "url")).toMatchObject({
    origin: { from: "environment", name: "LASTGOOD_URL" },
  });
});

test("register --dry-run reads the files and stores nothing", async () => {
  const path = join(folder, "model.onnx");
  writeFileSync(path, "bytes");
  const argv = ["register", "fraud", path, "--version", "v1", "--metric", "auc=0.94"];
  const { exitCode, out } = await run([...argv, "--metric", "f1=1", "--dry-run", "--json"]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    dryRun: true,
    model: "fraud",
    metrics: { auc: 0.94, f1: 1 },
    files: [
      {
        path: "model.onnx",
        digest: "sha256:277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9",
      },
    ],
  });
  expect(calls).toEqual([]);
});

test("completion offers every verb, and of each its flags", async () => {
  const { out } = await run(["completion", "bash", "--", ""]);
  for (const { name } of VERBS) expect(out).toMatch(new RegExp(`^${name}\t`, "m"));
  for (const { name } of VERBS) {
    const flags = await run(["completion", "bash", "--", name, "--"]);
    expect(flags.out).toContain("--help");
  }
  expect((await run(["completion", "fish", "--", "rollback", "--to"])).out).toMatch(
    /^--to-revision/,
  );
  expect(calls).toEqual([]);
});

test.each(["bash", "zsh", "fish"])(
  "the script of %s is for both names of the program",
  async (shell) => {
    const { out } = await run(["completion", shell]);
    expect(out).toContain("lastgood");
    expect(out).toContain("mlops");
    expect(out).toContain(`completion ${shell} --`);
  },
);

const OWN_WORDS =
  "set-weight pause show --json --version --reason --dry-run --bake --force --to --metric --weight 25% fraud fraud@v1.0 a=b - -- ../.. -x = --=";
const words = [
  ...VERBS.map((verb) => verb.name),
  ...OWN_WORDS.split(" "),
  "",
  "\u0000",
  "é\ud800",
  "9".repeat(400),
];
/** What would start a server, never end, or ask a machine elsewhere. */
const NOT_HERE = /^(serve|demo|-w|--watch|--u)/;

test("no command line crashes it: an exit code of the table, and with --json one JSON value", async () => {
  const word = fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 12 }));
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
      fc.pre(!argv.some((each) => NOT_HERE.test(each)));
      const { exitCode, out } = await run(argv);
      expect([0, 1, 2, 4]).toContain(exitCode);
      if (argv.includes("--json") && exitCode !== 0) JSON.parse(out);
    }),
    { numRuns: 300 },
  );
}, 30_000);
