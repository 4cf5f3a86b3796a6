/** The table of commands (DESIGN.md section 7), each cell typed at the command line. */
import type { ChildProcess } from "node:child_process";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Deployed, RolledBack, RolloutAnswer } from "../../src/core/api/index.ts";
import { Load } from "../support/load.ts";
import { startServer, until, type CliResult, type TestServer } from "../support/server.ts";
import { irisBodies, stage, type Stage } from "../support/stage.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.destroy());

const CANARY = ["--strategy", "canary", "--weight", "10"] as const;

/** v1.0 stable and serving, the others registered. */
async function setUp(name: string, ...others: readonly string[]): Promise<Stage> {
  const made = stage(server, name);
  await made.stable("v1.0");
  for (const version of others) await made.register(version);
  return made;
}

async function done(on: Stage, ...args: readonly string[]): Promise<RolloutAnswer> {
  const told = await on.tell<RolloutAnswer>(...args);
  expect(told, `with ${args.join(" ")}`).toMatchObject({ code: 0 });
  return told.value;
}

async function statusOf(on: Stage, version: string): Promise<string | undefined> {
  return (await on.view()).revisions.findLast((each) => each.version === version)?.status;
}

test.concurrent("Progressing: weights, pause and resume, what is refused, and the ways on", async () => {
  const canary = await setUp("canary", "v1.1", "v1.2");
  const begun = await canary.tell<Deployed>("deploy", "canary@v1.1", ...CANARY);
  expect(begun).toMatchObject({
    code: 0,
    value: { started: true, verified: true, rollout: { phase: "Progressing", weight: 10 } },
  });
  const same = await canary.tell<Deployed>("deploy", "canary@v1.1");
  expect(same).toMatchObject({ code: 0, value: { started: false } });
  const other = await canary.refused(4, "deploy", "canary@v1.2");
  expect(other).toMatchObject({ code: "rollout.in-progress" });
  expect(other.hint).toContain("--replace");

  for (const weight of ["0", "100"]) {
    const refusal = await canary.refused(4, "rollout", "set-weight", weight, "canary");
    expect(refusal.code).toBe("rollout.weight");
    for (const instead of ["pause", "abort", "promote"]) expect(refusal.hint).toContain(instead);
  }
  const set = await done(canary, "rollout", "set-weight", "canary", "25%");
  expect(set).toMatchObject({ rollout: { phase: "Progressing", weight: 25 } });
  const paused = await done(canary, "rollout", "pause", "canary", "--for", "2h", "--reason", "tea");
  expect(paused.rollout?.paused).toMatchObject({ by: "tester", why: "tea" });
  expect(await done(canary, "rollout", "resume", "canary")).toMatchObject({
    rollout: { paused: null },
  });
  expect(await done(canary, "rollout", "status", "canary")).toMatchObject({
    rollout: { phase: "Progressing", weight: 25, to: { version: "v1.1" } },
  });

  const replaced = await canary.tell<Deployed>(
    "deploy",
    "canary@v1.2",
    "--replace",
    ...CANARY,
    "--bake",
    "10m",
  );
  expect(replaced).toMatchObject({ code: 0, value: { rollout: { to: { version: "v1.2" } } } });
  expect(await statusOf(canary, "v1.1")).toBe("aborted");
  const promoted = await done(canary, "rollout", "promote", "canary", "--full");
  expect(promoted.rollout).toMatchObject({ phase: "Baking", weight: 95 });
  expect(await canary.answering()).toContain("v1.2");
});

test.concurrent("Progressing: abort judges nobody, rollback and mark failed judge the candidate", async () => {
  const ends = await setUp("ends", "v1.1", "v1.2", "v1.3");
  const start = (version: string): Promise<Deployed> =>
    ends.deploy(version, { strategy: "canary", weight: 50 });
  await start("v1.1");
  await done(ends, "rollout", "abort", "ends", "--reason", "not today");
  expect(await ends.answering()).toEqual(["v1.0"]);
  expect(await statusOf(ends, "v1.1")).toBe("aborted");
  expect((await server.client.version("ends", "v1.1")).status).toBe("pending");

  await start("v1.2");
  const back = await ends.tell<RolledBack>("rollback", "ends", "--reason", "errors");
  expect(back).toMatchObject({
    code: 0,
    value: { from: { version: "v1.2" }, to: { version: "v1.0" }, failedRequests: 0 },
  });
  expect(await statusOf(ends, "v1.2")).toBe("failed");

  await start("v1.3");
  const marked = await ends.tell("mark", "ends@v1.3", "failed", "--reason", "errors");
  expect(marked).toMatchObject({
    code: 0,
    value: { version: { status: "failed" }, consequences: ["ends was rolled back to v1.0"] },
  });
  expect(await ends.answering()).toEqual(["v1.0"]);
  expect((await server.client.history("ends")).entries.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(["rollout.aborted", "rollback.completed"]),
  );
});

test.concurrent("Baking: what is refused, the clock, promote, and --replace keeps what carried all traffic", async () => {
  const baking = await setUp("baking", "v1.1", "v1.2");
  await baking.tell("deploy", "baking@v1.1", "--bake", "10m");
  const same = await baking.tell<Deployed>("deploy", "baking@v1.1");
  expect(same).toMatchObject({ code: 0, value: { started: false } });
  expect(await baking.refused(4, "deploy", "baking@v1.2")).toMatchObject({
    code: "rollout.in-progress",
  });
  expect(await baking.refused(4, "rollout", "set-weight", "50", "baking")).toMatchObject({
    code: "rollout.phase",
  });
  const paused = await done(baking, "rollout", "pause", "baking");
  expect(paused.rollout).toMatchObject({ phase: "Baking", bakeEndsAt: null });
  const resumed = await done(baking, "rollout", "resume", "baking");
  expect(resumed.rollout?.bakeEndsAt).toBeGreaterThan(Date.now());

  await baking.tell("deploy", "baking@v1.2", "--replace", "--bake", "10m");
  expect(await statusOf(baking, "v1.1")).toBe("provisional");
  // A target only where no proven stable one exists.
  expect((await baking.view()).rollback).toMatchObject({ target: { version: "v1.0" } });
  const promoted = await done(baking, "rollout", "promote", "baking");
  expect(promoted.rollout).toMatchObject({ phase: "Succeeded" });
  expect(await statusOf(baking, "v1.2")).toBe("stable");
});

test.concurrent("Baking: abort, rollback and mark failed go back; a bake that nothing speaks against ends stable", async () => {
  const over = await setUp("over", "v1.1", "v1.2", "v1.3", "v1.4");
  const bake = (version: string): Promise<Deployed> => over.deploy(version, { bakeMs: 600_000 });
  await bake("v1.1");
  await done(over, "rollout", "abort", "over");
  expect(await statusOf(over, "v1.1")).toBe("aborted");
  await bake("v1.2");
  expect(await over.tell("rollback", "over")).toMatchObject({ code: 0 });
  expect(await statusOf(over, "v1.2")).toBe("failed");
  await bake("v1.3");
  expect(await over.tell("mark", "over", "v1.3", "failed")).toMatchObject({ code: 0 });
  expect(await statusOf(over, "v1.3")).toBe("failed");
  expect(await over.answering()).toEqual(["v1.0"]);
  expect((await over.tell("deploy", "over@v1.4", "--bake", "500ms")).code).toBe(0);
  await until("the bake is over", async () => (await statusOf(over, "v1.4")) === "stable");
  expect((await server.client.version("over", "v1.4")).status).toBe("stable");
});

test.concurrent("at rest: what there is to steer is refused, promote and deploy of the same are no-ops", async () => {
  const rest = await setUp("rest", "v1.1");
  const same = await rest.tell<Deployed>("deploy", "rest@v1.0");
  expect(same).toMatchObject({ code: 0, value: { started: false, rollout: null } });
  for (const args of [["set-weight", "50"], ["pause"], ["resume"], ["abort"]])
    expect(await rest.refused(4, "rollout", ...args, "rest")).toMatchObject({
      code: "rollout.none",
    });
  const stable = await done(rest, "rollout", "promote", "rest");
  expect(stable.done).toContain("already stable");

  // On a provisional revision there is something to promote, and no rollout to promote.
  const young = stage(server, "young");
  await young.register("v1.0");
  await young.register("v1.1");
  await young.deploy("v1.0", { bakeMs: 600_000 });
  await young.deploy("v1.1", { bakeMs: 600_000, replace: true });
  expect((await young.tell("rollback", "young")).code).toBe(0);
  expect(await statusOf(young, "v1.0")).toBe("provisional");
  expect(await young.refused(4, "rollout", "promote", "young")).toMatchObject({
    code: "rollout.none",
  });

  const marked = await rest.tell("mark", "rest@v1.0", "failed", "--reason", "wrong");
  expect(marked).toMatchObject({
    code: 0,
    value: { consequences: [expect.stringContaining("type `lastgood rollback rest`")] },
  });
  expect(await rest.answering()).toEqual(["v1.0"]);
  expect((await rest.view()).alarms.join()).toContain("no traffic moved");
});

test("RollingBack: a second rollback and a verdict attach, everything else is refused", async () => {
  const back = stage(server, "back");
  await back.stable("v1.0");
  await back.register("v2.0");
  await back.register("v2.1");
  await back.deploy("v2.0", { bakeMs: 600_000 });
  // A rollback is done when the last answer of what it left is out: this one waits for its process.
  const slowPid = (await back.loaded()).find(({ revision }) => revision === 2)?.pid ?? 0;
  process.kill(slowPid, "SIGSTOP");
  const slow = back.score();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const first = server.client.rollback({ endpoint: "back", actor: "tester", reason: "slow" });
  await until(
    "it is on its way back",
    async () => (await back.view()).rollout?.phase === "RollingBack",
  );
  const refused: readonly (readonly string[])[] = [
    ["deploy", "back@v2.0"],
    ["deploy", "back@v2.1", "--replace"],
    ["rollout", "set-weight", "50", "back"],
    ["rollout", "promote", "back"],
    ["rollout", "pause", "back"],
    ["rollout", "resume", "back"],
    ["rollout", "abort", "back"],
  ];
  const attaching = back.tell<RolledBack>("rollback", "back");
  const marking = back.tell("mark", "back@v2.0", "failed", "--reason", "slow");
  const refusals = await Promise.all(
    refused.map((args) => back.tell<{ error?: { code: string } }>(...args)),
  );
  process.kill(slowPid, "SIGCONT");
  const answer = await first;
  expect(answer).toMatchObject({ to: { version: "v1.0" }, verified: true, failedRequests: 0 });
  expect(refusals.map(({ code, value }) => [code, value.error?.code])).toEqual(
    refused.map(() => [4, "rollout.phase"]),
  );
  expect(await attaching).toMatchObject({
    code: 0,
    value: { to: { version: "v1.0" }, switchMs: answer.switchMs, at: answer.at },
  });
  expect(await marking).toMatchObject({ code: 0, value: { version: { status: "failed" } } });
  // No request pays: what was in flight is answered by whom it was sent to.
  expect(await slow).toMatchObject({ status: 200, version: "v2.0" });
});

test("a canary carries its share: 10 and then 50 percent of real requests, within binomial bounds", async () => {
  const share = await setUp("share", "v1.1");
  await share.deploy("v1.1", { strategy: "canary", weight: 10 });
  for (const weight of [10, 50]) {
    if (weight !== 10) await done(share, "rollout", "set-weight", `${weight}`, "share");
    const load = new Load({ url: share.url, bodies: irisBodies, concurrency: 32 });
    await until("2000 answers", () => load.answers.length >= 2_000);
    const answers = await load.stop();
    expect(load.failures).toEqual([]);
    const p = weight / 100;
    const took = answers.filter(({ version }) => version === "v1.1").length;
    const deviation = Math.sqrt(answers.length * p * (1 - p));
    // Five standard deviations: one run in two million fails by chance.
    expect(Math.abs(took - answers.length * p)).toBeLessThan(5 * deviation);
  }
  await done(share, "rollout", "promote", "share");
  expect(await share.answering(16)).toEqual(["v1.1"]);
});

test("--wait: 0 when stable, 3 when rolled back, 6 when aborted, 5 at its deadline", async () => {
  const wait = await setUp("wait", "v1.1", "v1.2", "v1.3");
  const waiting = (version: string, ...more: readonly string[]): Promise<CliResult> =>
    server.cli(["deploy", `wait@${version}`, "--wait", "--poll", "50", ...more, "--json"]);
  const isBaking = async (version: string): Promise<boolean> => {
    const { rollout, current } = await wait.view();
    return rollout?.phase === "Baking" && current?.version === version;
  };
  const stable = await waiting("v1.1", "--bake", "300ms");
  expect(stable.code).toBe(0);
  expect(JSON.parse(stable.stdout)).toMatchObject({ rollout: { phase: "Succeeded" } });

  const rolledBack = waiting("v1.2", "--bake", "10m");
  await until("it bakes", () => isBaking("v1.2"));
  await server.client.rollback({ endpoint: "wait", actor: "tester" });
  expect(await rolledBack).toMatchObject({ code: 3 });
  expect(JSON.parse((await rolledBack).stdout)).toMatchObject({
    error: { code: "rollout.rolled-back" },
  });

  const steered = await waiting("v1.3", "--strategy", "canary", "--weight", "20");
  expect(steered.code, "nothing but a person takes it on").toBe(5);
  expect(JSON.parse(steered.stdout)).toMatchObject({
    error: { code: "wait.person", hint: expect.stringContaining("lastgood rollout promote wait") },
  });
  await server.client.steer({ command: "abort", endpoint: "wait", actor: "tester", reason: null });

  const undecided = await waiting("v1.3", "--bake", "10m", "--timeout", "200ms");
  expect(undecided.code).toBe(5);
  await until("it goes on all the same", () => isBaking("v1.3"));
  await server.client.steer({ command: "abort", endpoint: "wait", actor: "tester", reason: null });
  const aborted = waiting("v1.3", "--bake", "10m");
  await until("it bakes again", () => isBaking("v1.3"));
  await server.client.steer({ command: "abort", endpoint: "wait", actor: "tester", reason: null });
  expect(await aborted).toMatchObject({ code: 6 });
});

test("Ctrl-C on --wait detaches with 130, and the rollout goes on", async () => {
  const detached = await setUp("detached", "v1.1");
  let child: ChildProcess | null = null;
  const waiting = server.cli(["deploy", "detached@v1.1", "--bake", "10m", "--wait"], {}, (made) => {
    child = made;
  });
  await until("it bakes", async () => (await detached.view()).current?.version === "v1.1");
  (child as ChildProcess | null)?.kill("SIGINT");
  const ended = await waiting;
  expect(ended.code).toBe(130);
  expect(ended.stderr).toContain("goes on at the server");
  const view = await detached.view();
  expect(view).toMatchObject({ current: { version: "v1.1" }, rollout: { phase: "Baking" } });
});

test("words that are not understood are usage errors with exit 2 and a suggestion", async () => {
  const cases = [
    [["rolback"], /did you mean rollback/i],
    [["deploy", "rest@v1.0", "--strategy", "greenBlue"], /blueGreen/],
    [["rollout", "set-weight", "lots", "rest"], /set-weight 25/],
    [["rollback", "rest", "--version", "v1.0", "--to-revision", "1"], /exclude/],
    [["deploy"], /missing required argument/],
    [["rollback"], /which endpoint/],
  ] as const;
  for (const [args, says] of cases) {
    const plain = await server.cli([...args]);
    expect(plain.code, `with ${args.join(" ")}`).toBe(2);
    expect(plain.stderr).toMatch(says);
    expect(plain.stdout).toBe("");
  }
});
