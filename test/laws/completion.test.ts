/** Completion in real shells, with the names that a real server knows. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let folder = "";

beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), "lastgood-completion-"));
  const program = `#!/bin/sh\nexec '${process.execPath}' '${join(server.dist, "cli.cjs")}' "$@"\n`;
  writeFileSync(join(folder, "lastgood"), program);
  chmodSync(join(folder, "lastgood"), 0o755);
  writeFileSync(join(folder, "some-model.onnx"), "");
  // As an installation keeps them: made once, sourced by every shell.
  for (const { name } of shells) {
    const script = execFileSync(join(folder, "lastgood"), ["completion", name]);
    writeFileSync(join(folder, `completion.${name}`), script);
  }
  await server.register("fraud", "v1.0", "iris/v1.0.onnx");
  await server.register("fraud", "v1.1", "iris/v1.1.onnx");
  await server.register("flowers", "v2.0", "iris/v1.1.onnx");
  await server.json(["alias", "fraud@v1.1", "champion"]);
  await server.json(["deploy", "fraud@v1.0"]);
});
afterAll(async () => {
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

interface Shell {
  readonly name: string;
  /** What the shell would offer at the end of the line, as the line would then read. */
  readonly complete: (line: string, dataDir: string) => readonly string[];
}

function environment(dataDir: string): NodeJS.ProcessEnv {
  const path = `${folder}${delimiter}${process.env["PATH"] ?? ""}`;
  return { ...process.env, PATH: path, LASTGOOD_DATA_DIR: dataDir, HOME: folder, TERM: "dumb" };
}

function run(shell: string, args: readonly string[], dataDir: string): string {
  const options = {
    cwd: folder,
    env: environment(dataDir),
    encoding: "utf8",
    timeout: 20_000,
  } as const;
  return execFileSync(shell, args, options);
}

/**
 * The words that bash itself would make of the line, then the function that it would call; it sorts what
 * that gives, unless it is told not to.
 */
const bash: Shell = {
  name: "bash",
  complete: (line, dataDir) => {
    const script = `
      source completion.bash
      order=sort
      compopt() { [[ $* == *nosort* ]] && order=cat; }
      COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
      _lastgood lastgood
      printf '%s\\n' "\${COMPREPLY[@]}" | $order`;
    return linesOf(run("bash", ["--norc", "-c", script, "bash", line], dataDir)).map((reply) =>
      whole(line, reply),
    );
  },
};

/** Bash replaces what comes after the last of its word breaks. */
function whole(line: string, reply: string): string {
  const current = line.split(" ").at(-1) ?? "";
  return `${/^.*[@:=]/.exec(current)?.[0] ?? ""}${reply}`;
}

/** Fish has a command that completes a line. */
const fish: Shell = {
  name: "fish",
  complete: (line, dataDir) => {
    const script = `source completion.fish; complete -C "$argv[1]"`;
    return linesOf(run("fish", ["--no-config", "-c", script, line], dataDir)).map(
      (each) => each.split("\t")[0] ?? "",
    );
  },
};

/**
 * Zsh completes in its line editor alone: its function is called with `compadd` writing down what it is
 * given, sorted where it is not told to keep the order (-V).
 */
const zsh: Shell = {
  name: "zsh",
  complete: (line, dataDir) => {
    const script = `
      compdef() { : }
      source ./completion.zsh
      compadd() {
        local at=\${@[-1]}
        [[ $1 == -V ]] && print -l -- \${(P)at} || print -l -- \${(Po)at}
      }
      _files() { print -l -- *.onnx }
      words=("\${(@s: :)1}") CURRENT=\${#words}
      _lastgood || :`;
    return linesOf(run("zsh", ["-f", "-c", script, "zsh", line], dataDir));
  },
};

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

function isHere(shell: string): boolean {
  return spawnSync(shell, ["-c", "exit 0"]).status === 0;
}

/** Bash is on every machine that runs the tests; of the others those that are there. */
const shells = [bash, ...[zsh, fish].filter(({ name }) => isHere(name))];

const expected: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ["lastgood dep", ["deploy"]],
  ["lastgood rollout pa", ["pause"]],
  ["lastgood deploy f", ["flowers@", "fraud@"]],
  ["lastgood deploy fr", ["fraud@v1.1", "fraud@v1.0", "fraud@champion"]],
  ["lastgood deploy fraud@v1.", ["fraud@v1.1", "fraud@v1.0"]],
  ["lastgood deploy fraud@c", ["fraud@champion"]],
  ["lastgood deploy fraud@v1.1 --to ", ["fraud-prod"]],
  ["lastgood rollback fraud-prod --version ", ["v1.1", "v1.0"]],
  ["lastgood rollback --if-current=v1.0", ["--if-current=v1.0"]],
  ["lastgood diff fraud v1.", ["v1.1", "v1.0"]],
  ["lastgood versions ", ["flowers", "fraud"]],
  ["lastgood mark fraud@v1.1 st", ["stable"]],
  ["lastgood deploy fraud@v1.1 --strategy c", ["canary"]],
  ["lastgood register fraud some-m", ["some-model.onnx"]],
  ["lastgood show nothing-like-it", []],
];

test.each(shells.flatMap((shell) => expected.map((each) => [shell.name, ...each] as const)))(
  "%s: %s",
  (name, line, offered) => {
    const shell = shells.find((each) => each.name === name) ?? bash;
    expect(shell.complete(line, server.dataDir)).toEqual(offered);
  },
);

test.each(shells.map(({ name }) => name))("%s: without a server it is silent", (name) => {
  const shell = shells.find((each) => each.name === name) ?? bash;
  expect(shell.complete("lastgood deploy fr", join(folder, "no-server"))).toEqual([]);
  expect(shell.complete("lastgood stat", join(folder, "no-server"))).toEqual(["status"]);
});
