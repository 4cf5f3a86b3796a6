import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { blobPath } from "../../src/core/version/index.ts";
import type { GatewayStatus } from "../../src/link/message/index.ts";
import { overrideSchema, type Override } from "../../src/link/override/index.ts";
import type { Route, RouteRevision } from "../../src/link/route/index.ts";
import {
  allReady,
  canaryRoute,
  connected,
  DoublingRemote,
  limited,
  MOODS,
  publishReady,
  type CanaryOptions,
} from "../support/canary.ts";
import { GatewayHarness, numberBody, type Answer } from "../support/gateway-harness.ts";

let harness: GatewayHarness;

/** Who is stable, and what is watched. */
async function canary(
  options: CanaryOptions & {
    readonly stable?: "moody" | "doubles";
    readonly workers?: number;
    readonly queue?: number;
  } = {},
): Promise<{ readonly stable: RouteRevision; readonly candidate: RouteRevision; route: Route }> {
  const { workers = 2, queue = 1024 } = options;
  harness = await connected(new GatewayHarness({ workers }));
  const stable = limited(await harness.numbers(1, options.stable ?? "doubles", "v1.0"), { queue });
  const candidate = await harness.numbers(2, "moody", "v1.1");
  const route = canaryRoute(harness, { stable, candidate }, { breaker: true, ...options });
  await publishReady(harness, route);
  return { stable, candidate, route };
}

/** All traffic goes to a candidate at the remote, which may not be asked twice. */
async function canaryAt(remote: DoublingRemote): Promise<void> {
  harness = await connected(
    new GatewayHarness({ workers: 1, remotes: { there: remote.settings(false) } }),
  );
  const stable = await harness.numbers(1, "doubles", "v1.0");
  const candidate = await remote.revision(harness, 2, "there", stable);
  const route = canaryRoute(harness, { stable, candidate }, { weight: 100, breaker: true });
  await publishReady(harness, route);
}

/** Nothing is watched: the last one serves, the others are targets, the newest first. */
async function atRest(...fixtures: readonly ("moody" | "doubles")[]): Promise<void> {
  harness = await connected(new GatewayHarness());
  const revisions: RouteRevision[] = [];
  for (const [index, fixture] of fixtures.entries())
    revisions.push(await harness.numbers(index + 1, fixture, `v1.${index}`));
  const route = harness.route(revisions.toReversed(), revisions.length, {
    safeguards: { fallback: true, breaker: true },
  });
  await publishReady(harness, route);
}

async function overrides(): Promise<readonly Override[]> {
  return (await harness.admin<GatewayStatus>("gateway.status", {})).overrides;
}

/** What the breaker did, once it has done so many things and has verified the last. */
async function acted(count = 1): Promise<Override> {
  const last = await harness.until(async () => {
    const all = await overrides();
    return all.length === count && all.at(-1)?.measured.verified === true && all.at(-1);
  }, `override ${count}`);
  if (last === false || last === undefined) throw new Error("no override");
  return last;
}

function log(): string {
  return readFileSync(join(harness.dataDir, "gateway.log"), "utf8");
}

async function send(x: number, times: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let turn = 0; turn < times; turn += 1) answers.push(await harness.infer(numberBody(x)));
  return answers;
}

/** Requests that end the process, each another one: what is behind the point is cut off. */
async function sendKillers(count: number, first = 0): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let turn = first; turn < first + count; turn += 1)
    answers.push(await harness.infer(numberBody(MOODS.dies - turn / 1_000)));
  return answers;
}

/** Ends a revision's process three times, each time once it is back. */
async function killProcess(revision: number): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    const status = await allReady(harness, 3);
    process.kill(harness.modelPid(status, revision), "SIGKILL");
    await harness.until(async () => {
      const { revisions } = await harness.admin<GatewayStatus>("gateway.status", {});
      return revisions.some((each) => each.revision === revision && each.state !== "ready");
    }, "the end of the process");
  }
}

function statuses(answers: readonly Answer[]): readonly number[] {
  return [...new Set(answers.map((answer) => answer.status))];
}

afterEach(() => harness.end(), 20_000);

test("the 20th invalid answer in a row takes the candidate out, the 19th does not, and no caller sees one", async () => {
  await canary({ weight: 100, workers: 1 });
  expect(statuses(await send(MOODS.nan, 19))).toEqual([200]);
  expect(statuses(await send(3, 1))).toEqual([200]);
  const nineteen = await send(MOODS.nan, 19);
  expect(nineteen.at(-1)).toMatchObject({ revision: "1", fallback: "v1.1/2" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await overrides()).toEqual([]);
  await send(MOODS.nan, 1);
  const override = await acted();
  expect(override).toMatchObject({
    from: 2,
    to: 1,
    actor: "lastgood",
    trigger: "limit",
    reason: "20 consecutive invalid answers: output y holds NaN at element 0",
    keepStatus: false,
    measured: { verified: true, durable: true, failedRequests: 0 },
  });
  const after = await harness.infer(numberBody(MOODS.nan));
  expect(after).toMatchObject({ status: 200, revision: "1", fallback: undefined });
  // The control plane is there: it hears of it at once.
  await harness.until(() => harness.news.some((each) => each.kind === "override.made"), "the news");
}, 60_000);

test("without a control plane 3 crashes send all traffic to stable, others are answered, and it is told later", async () => {
  const { stable, candidate } = await canary({ weight: 50 });
  const before = await allReady(harness, 2);
  await harness.stopControl();
  const load = harness.load(4, numberBody(3));
  let killed = 0;
  for (let turn = 0; killed < 3; turn += 1) {
    const [answer] = await sendKillers(1, turn);
    if (answer?.status !== 200) killed += 1;
  }
  const override = await acted();
  expect(override).toMatchObject({ from: 2, to: 1, actor: "lastgood", trigger: "limit" });
  expect(override.reason).toMatch(/^3 crashes of the model process within 60 s: /);
  const switchedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const others = await load.stop();
  expect(statuses(others)).toEqual([200]);
  const late = others.filter((answer) => answer.sentAt > switchedAt);
  expect(new Set(late.map((answer) => answer.revision))).toEqual(new Set(["1"]));
  const after = await harness.admin<GatewayStatus>("gateway.status", {});
  expect(harness.modelPid(after, 1)).toBe(harness.modelPid(before, 1));

  harness.news.length = 0;
  await harness.startControl();
  const told = await harness.until(
    () => harness.news.find((each) => each.kind === "override.made"),
    "the report",
  );
  expect(overrideSchema.parse(told?.body)).toEqual(override);
  const stale = harness.route([stable, candidate], 2);
  expect(await harness.publish(stale)).toMatchObject({ taken: false });
  const knowing = harness.route([stable, candidate], 1, { acknowledges: [override.id] });
  expect(await harness.publish(knowing)).toMatchObject({ taken: true });
}, 60_000);

test("stable failing alike is a common outage: nothing moves, and the log says why", async () => {
  await canary({ weight: 100, stable: "moody" });
  const answers = await send(MOODS.nan, 60);
  expect(statuses(answers)).toEqual([500]);
  await harness.until(() => log().includes("stays in spite of its failures"), "the log");
  expect(await overrides()).toEqual([]);
  expect(log()).toContain("v1.0 is not healthy either");
}, 60_000);

test("a remote that takes no connection 20 times in a row is left", async () => {
  const remote = await DoublingRemote.start();
  try {
    await canaryAt(remote);
    remote.fails = "drop";
    expect(statuses(await send(3, 19))).toEqual([503]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await overrides()).toEqual([]);
    await send(3, 1);
    const override = await acted();
    expect(override).toMatchObject({ from: 2, to: 1, trigger: "limit" });
    expect(override.reason).toMatch(/^20 consecutive connection failures: model doubles at http/);
    expect(statuses(await send(3, 5))).toEqual([200]);
  } finally {
    await remote.stop();
  }
}, 60_000);

test("one reset of a remote is one failure, however many requests it takes with it", async () => {
  const remote = await DoublingRemote.start();
  try {
    await canaryAt(remote);
    remote.fails = "silent";
    const before = remote.infers;
    const lost = Promise.all(Array.from({ length: 40 }, () => harness.infer(numberBody(3))));
    await harness.until(() => remote.infers === before + 40, "all are under way");
    remote.fails = null;
    remote.reset();
    expect(statuses(await lost)).toEqual([503]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await overrides()).toEqual([]);
    expect(await harness.infer(numberBody(3))).toMatchObject({ status: 200, revision: "2" });
  } finally {
    await remote.stop();
  }
}, 60_000);

test("more failures than stable has room for open the breaker", async () => {
  await canary({ weight: 100, queue: 4 });
  const load = harness.load(32, numberBody(MOODS.throws));
  const override = await acted();
  expect(override).toMatchObject({ from: 2, to: 1, actor: "lastgood", trigger: "breaker" });
  expect(override.reason).toContain(
    "20 failed requests within 10 s that stable had no room to answer: ",
  );
  const switchedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const answers = await load.stop();
  expect(answers.filter((each) => each.sentAt > switchedAt && each.revision !== "1")).toEqual([]);
}, 60_000);

test("a candidate whose file is gone when its gateway starts again is left", async () => {
  const { candidate } = await canary({ weight: 50 });
  const status = await allReady(harness, 2);
  await harness.stopControl();
  await harness.killGateway();
  harness.agent.destroy();
  process.kill(harness.modelPid(status, 2), "SIGKILL");
  rmSync(join(harness.dataDir, blobPath(candidate.digest)));
  await harness.start();
  const override = await acted();
  expect(override).toMatchObject({ from: 2, to: 1, trigger: "limit" });
  expect(override.reason).toMatch(/^it cannot be loaded: /);
  expect(statuses(await send(3, 5))).toEqual([200]);
}, 60_000);

test("at rest what serves is left for the next target, each once, until none is left", async () => {
  await atRest("doubles", "moody", "doubles");
  await killProcess(3);
  expect(await acted(1)).toMatchObject({ from: 3, to: 2, trigger: "limit" });
  await sendKillers(3);
  expect(await acted(2)).toMatchObject({ from: 2, to: 1, trigger: "limit" });
  await killProcess(1);
  await harness.until(() => log().includes("no version that is proven could take over"), "the log");
  expect(await overrides()).toHaveLength(2);
  await allReady(harness, 3);
  expect(await harness.infer(numberBody(3))).toMatchObject({ status: 200, revision: "1" });
}, 60_000);

test("a caller who repeats what ends every version moves traffic once, and no further", async () => {
  await atRest("doubles", "moody", "moody");
  await send(MOODS.dies, 3);
  expect(await acted(1)).toMatchObject({ from: 3, to: 2 });
  await allReady(harness, 3);
  expect(statuses(await send(MOODS.dies, 4))).toEqual([500]);
  await allReady(harness, 3);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await overrides()).toHaveLength(1);
}, 60_000);
