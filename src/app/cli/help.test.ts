import { expect, test } from "vitest";

import { runCli } from "./run.ts";
import { VERBS } from "./verb-table.ts";

async function help(...argv: string[]): Promise<string> {
  let text = "";
  const stdout = { write: (part: string) => (text += part) };
  const stderr = { write: (part: string) => (text += `stderr: ${part}`) };
  const exitCode = await runCli({
    argv,
    env: {},
    programFolder: "/nowhere",
    stdout,
    stderr,
    isTerminal: false,
    colour: false,
  });
  expect(exitCode).toBe(0);
  return text;
}

test("the first help screen", async () => {
  expect(await help()).toMatchInlineSnapshot(`
    "Usage: lastgood <verb> [options]

    Production rollback for machine-learning models: when an update fails, the last good version is back
    before anyone notices.

    Options:
      --version      print the program's version
      -h, --help     show help; <verb> --help shows examples

    Every day:
      serve          start the server, or serve one version on a port
      register       store a model version
      deploy         roll a version out to an endpoint
      status         what every endpoint serves, and where a rollback would go
      rollback|undo  bring the last good version back, now
      history        who did what, when and why; --verify checks the chain
      diff|compare   two versions side by side
      doctor         would a rollback work now? checks everything it needs

    Versions:
      import         register versions from a folder, a git repository or MLflow
      versions       list models, or the versions of one
      show           everything about a version
      tag            set or remove tags of a version
      alias          point a movable name at a version
      mark           judge a version: stable, failed or pending
      archive        put a version away; its files are kept

    Rollouts:
      rollout        steer a rollout by hand: status, set-weight, pause, resume, promote, abort
      apply          put a policy file in force: lastgood.yaml
      policy         show the policy in force at an endpoint
      reinstate      take back a wrong rollback
      pin            keep an endpoint from going back by itself for a while
      unpin          let it go back by itself again

    Evidence:
      incident       what broke, when, for whom, and what was done
      explain        compute the verdicts on a rollout again, and compare
      simulate       how soon a policy would catch a bad candidate at your traffic
      feedback       tell what is known of predictions: correct, wrong, label or score

    The server's folder:
      gc             remove what no version within reach of a rollback needs

    This program:
      demo           a real update that fails and is taken back, live
      config         show each setting and where it comes from
      completion     print a completion script for your shell

    Commands:
      help [verb]    show the help of a verb
    "
  `);
  expect(await help("--help")).toBe(await help());
});

test.each(VERBS.map((verb) => verb.name))("help of %s", async (name) => {
  const text = await help(name, "--help");
  expect(text).toMatchSnapshot();
  expect(text).toContain("Examples:");
  expect(text).toMatch(/--json|rollout status|config show|policy show/);
  expect(await help("help", name)).toBe(text);
});

test.each(["status", "set-weight", "pause", "resume", "promote", "abort"])(
  "help of rollout %s",
  async (name) => {
    const text = await help("rollout", name, "--help");
    expect(text).toMatchSnapshot();
    expect(text).toContain("Examples:");
    expect(text).toContain("--json");
  },
);

test.each(["config", "policy"])("help of %s show", async (name) => {
  const text = await help(name, "show", "--help");
  expect(text).toMatchSnapshot();
});

test("an alias shows the help of its verb", async () => {
  expect(await help("undo", "--help")).toBe(await help("rollback", "--help"));
  expect(await help("compare", "--help")).toBe(await help("diff", "--help"));
});

test("called as mlops the program says so", async () => {
  let text = "";
  const stdout = { write: (part: string) => (text += part) };
  const env = { LASTGOOD_INVOKED_AS: "mlops" };
  const around = { stdout, stderr: stdout, isTerminal: false, colour: false };
  await runCli({ argv: ["rollback", "--help"], env, programFolder: "/nowhere", ...around });
  expect(text).toMatch(/^Usage: mlops rollback/);
});
