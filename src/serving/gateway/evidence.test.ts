import { setTimeout as pause } from "node:timers/promises";

import { afterEach, expect, test } from "vitest";

import { GatewayHarness, type Answer } from "../../../test/support/gateway-harness.ts";
import { heldOutRows } from "../../../test/support/rows.ts";
import {
  addArmCounts,
  addPairCounts,
  noArmCounts,
  noPairCounts,
  type ArmCounts,
  type PairCounts,
} from "../../core/analysis/index.ts";
import { tensorFromWire } from "../../core/tensor/index.ts";
import { parseDigest, summariseInputs } from "../../core/version/index.ts";
import type { Count, Evidence } from "../../link/count/index.ts";
import { CONTROL_REQUESTS, type GatewayStatus } from "../../link/message/index.ts";
import type { Route, RouteRevision, Watch } from "../../link/route/index.ts";

const KILLS = 3;
const STABLE = 1;
const CANDIDATE = 2;
const WATCH: Watch = {
  rollout: "r1",
  candidate: CANDIDATE,
  stable: STABLE,
  candidateShare: null,
  flushMs: 100,
  deadlineMs: 10_000,
  mirror: null,
  inputs: null,
};

let harness: GatewayHarness;
let revisions: readonly RouteRevision[];

async function bothReady(): Promise<void> {
  await harness.until(async () => {
    const { revisions: states } = await harness.admin<GatewayStatus>("gateway.status", {});
    return states.length === 2 && states.every((each) => each.state === "ready");
  }, "both revisions");
}

/** The candidate's process, once it is another one than the last. */
async function candidatePid(last: number): Promise<number> {
  const found = await harness.until(async () => {
    const status = await harness.admin<GatewayStatus>("gateway.status", {});
    const candidate = status.revisions.find((each) => each.revision === CANDIDATE);
    const isOther = candidate?.state === "ready" && candidate.pid !== last;
    return isOther ? candidate.pid : null;
  }, "the candidate's process");
  return Number(found);
}

async function begin(file: string): Promise<void> {
  harness = new GatewayHarness();
  await harness.startBoth();
  revisions = [await harness.revision(STABLE, "v1.0"), await harness.revision(CANDIDATE, file)];
  await harness.publish(harness.route(revisions, STABLE));
  await bothReady();
}

/** A route of a canary under watch. */
function canary(weight: number, watch: Watch | null = WATCH): Route {
  const arms = [
    { revision: STABLE, weight: 100 - weight },
    { revision: CANDIDATE, weight },
  ];
  return harness.route(revisions, STABLE, { split: { salt: "s", arms }, watch });
}

const rows = heldOutRows("iris").map(({ features }) => features);

/** Sends the held-out rows in turn; every tenth request breaks the contract. */
async function send(count: number, key?: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  const headers = key === undefined ? {} : { "x-lastgood-key": key };
  let next = 0;
  const callers = Array.from({ length: 8 }, async () => {
    while (next < count) {
      const number = next++;
      const data = rows[number % rows.length];
      const datatype = number % 10 === 9 ? "BYTES" : "FP32";
      const body = { inputs: [{ name: "features", shape: [1, 4], datatype, data }] };
      answers.push(await harness.ask("/v2/models/iris-prod/infer", body, headers));
    }
  });
  await Promise.all(callers);
  return answers;
}

/** Every record that came, each once, in the order of their numbers. */
function records(): Evidence[] {
  const told = harness.news
    .filter(({ kind }) => kind === "evidence")
    .flatMap(({ body }) => CONTROL_REQUESTS.evidence.parse(body).evidence);
  const bySequence = new Map(told.map((record) => [record.sequence, record]));
  return [...bySequence.values()].toSorted((a, b) => a.sequence - b.sequence);
}

function total(revision: number, among = records()): ArmCounts {
  return among
    .flatMap(({ arms }) => arms.filter((arm) => arm.revision === revision))
    .reduce((sum, { counts }) => addArmCounts(sum, counts), noArmCounts());
}

function pairs(): PairCounts {
  return records().reduce((sum, record) => addPairCounts(sum, record.pairs), noPairCounts());
}

/** Totals of what was mirrored to the candidate, as the counts tell them. */
function mirrored(): { readonly requests: number; readonly errors: number } {
  const told = harness.news
    .filter(({ kind }) => kind === "counts")
    .flatMap(({ body }) => CONTROL_REQUESTS.counts.parse(body).counts)
    .filter((count) => count.arm === "mirror" && count.revision === CANDIDATE);
  const last = new Map<string, Count>();
  for (const count of told) last.set(`${count.worker} ${count.interval}`, count);
  const sum = (of: "requests" | "errors"): number =>
    [...last.values()].reduce((all, count) => all + count[of], 0);
  return { requests: sum("requests"), errors: sum("errors") };
}

/** All to stable; everything it answers is also sent to the candidate. */
function mirroring(deadlineMs = 10_000): Route {
  const mirror = { of: STABLE, to: CANDIDATE, percent: 100 };
  return harness.route(revisions, STABLE, { watch: { ...WATCH, mirror, deadlineMs } });
}

function ofStatus(answers: readonly Answer[], revision: number, ...statuses: number[]): number {
  return answers.filter(
    (each) => each.revision === String(revision) && statuses.includes(each.status),
  ).length;
}

/** Waits until the records hold as many requests as callers have sent. */
async function settled(answers: readonly Answer[]): Promise<void> {
  await harness.until(() => {
    const sums = [total(STABLE), total(CANDIDATE)];
    const seen = sums.reduce(
      (sum, each) => sum + each.requests + each.violations + each.aborted,
      0,
    );
    return seen >= answers.length;
  }, "the evidence");
}

function timesOf(histogram: Readonly<Record<string, number>>): number {
  return Object.values(histogram).reduce((all, times) => all + times, 0);
}

function expectExactly(answers: readonly Answer[]): void {
  for (const revision of [STABLE, CANDIDATE]) {
    const counts = total(revision);
    const good = ofStatus(answers, revision, 200);
    const bad = ofStatus(answers, revision, 500);
    expect(counts).toMatchObject({
      requests: good + bad,
      errors: bad,
      violations: ofStatus(answers, revision, 400),
      late: 0,
      rejected: 0,
      aborted: 0,
    });
    expect(timesOf(counts.outputs)).toBe(good);
    const observed = Object.values(counts.latency).flat();
    const runs = observed.reduce((all, [, times]) => all + times, 0);
    expect(runs).toBeGreaterThan(0);
    expect(runs).toBeLessThanOrEqual(good);
  }
}

afterEach(() => harness.end(), 20_000);

test("the records of a canary add up to what callers saw, over a change of weights and a control plane that was away", async () => {
  await begin("v2.0-throws");
  await harness.publish(canary(20));
  const answers = await send(300);
  await harness.publish(canary(50));
  answers.push(...(await send(100)));
  await settled(answers);
  await harness.stopControl();
  answers.push(...(await send(100)));
  await pause(300);
  await harness.startControl();
  await settled(answers);
  expectExactly(answers);

  const all = records();
  expect(all.map((record) => record.sequence)).toEqual(all.map((_, index) => index));
  const splits = all.map((record) => record.split);
  expect(new Set(splits).size).toBe(2);
  expect(splits).toEqual(splits.toSorted((a, b) => a - b));
  for (const record of all) {
    expect(record.to).toBeGreaterThanOrEqual(record.from);
    for (const error of record.errors) {
      expect(error).toMatchObject({
        revision: CANDIDATE,
        message: expect.stringContaining("Gather"),
      });
      expect(error.requestId).toMatch(/^iris-prod\.2\./);
    }
  }
  expect(ofStatus(answers, CANDIDATE, 500)).toBeGreaterThan(0);
}, 60_000);

test("nothing is recorded without a watch, and the watch's last requests are told when it ends", async () => {
  await begin("v1.1");
  await send(20);
  await harness.publish(canary(50));
  const answers = await send(50);
  await harness.publish(canary(50, null));
  await send(20);
  await settled(answers);
  await pause(300);
  expectExactly(answers);
  expect(answers).toHaveLength(50);
}, 60_000);

test("a process that is killed is one error at the most, its requests are apart, and no caller sees anything", async () => {
  await begin("v1.1");
  await harness.publish(canary(50));
  const load = harness.load(32);
  await pause(300);
  let pid = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    pid = await candidatePid(pid);
    process.kill(pid, "SIGKILL");
  }
  await candidatePid(pid);
  const answers = await load.stop();
  await settled(answers);
  expect(answers.filter((answer) => answer.status !== 200)).toEqual([]);
  const counts = total(CANDIDATE);
  expect(counts.requests + counts.aborted).toBe(ofStatus(answers, CANDIDATE, 200));
  // One that had nothing in it took nothing along.
  expect(counts.errors).toBeGreaterThan(0);
  expect(counts.errors).toBeLessThanOrEqual(KILLS);
  expect(total(STABLE)).toMatchObject({ errors: 0, aborted: 0 });
}, 60_000);

test("requests of one key are one unit in each interval, whichever worker they come to", async () => {
  await begin("v1.1");
  await harness.publish(canary(50, { ...WATCH, flushMs: 60_000 }));
  const answers = await send(60, "one-user");
  expect(await harness.terminate()).toBe(0);
  const [first] = answers;
  const counts = total(Number(first?.revision));
  // They were in one interval, or the end of one was in between.
  expect([1, 2]).toContain(counts.requests);
  expect(counts.violations).toBe(6);
  expect(new Set(answers.map((answer) => answer.revision)).size).toBe(1);
}, 60_000);

test("inputs are counted by feature and bin, each request once, also those that break the version", async () => {
  await begin("v2.0-throws");
  const data = rows.flat();
  const features = tensorFromWire({
    name: "features",
    dtype: "FP32",
    shape: [rows.length, 4],
    data,
  });
  const digest = parseDigest(`sha256:${"0".repeat(64)}`);
  const reference = summariseInputs(digest, [features], null);
  const inputs = reference.features.map(({ input, element, bins }) => ({ input, element, bins }));
  await harness.publish(canary(50, { ...WATCH, flushMs: 60_000, inputs }));
  for (const row of rows) {
    const body = { inputs: [{ name: "features", shape: [1, 4], datatype: "FP32", data: row }] };
    await harness.ask("/v2/models/iris-prod/infer", body);
  }
  expect(await harness.terminate()).toBe(0);
  const [stable, candidate] = [total(STABLE), total(CANDIDATE)];
  expect(candidate.errors).toBeGreaterThan(0);
  // Every row of the set was asked once: together both arms saw exactly the set.
  expect(addArmCounts(stable, candidate).inputs).toEqual(
    reference.features.map(({ counts }) => counts),
  );
}, 60_000);

test("what was counted before the gateway ends is told before it is gone", async () => {
  await begin("v1.1");
  await harness.publish(canary(50, { ...WATCH, flushMs: 60_000 }));
  const answers = await send(50);
  expect(records()).toEqual([]);
  expect(await harness.terminate()).toBe(0);
  expectExactly(answers);
}, 60_000);

test("every mirrored request is one pair, and callers see nothing of it", async () => {
  await begin("v2.0-throws");
  await harness.publish(mirroring());
  let throwing = 0;
  for (const row of rows) {
    const body = { inputs: [{ name: "features", shape: [1, 4], datatype: "FP32", data: row }] };
    const answer = await harness.ask("/v2/models/iris-prod/infer", body);
    expect(answer).toMatchObject({ status: 200, revision: String(STABLE) });
    const direct = await harness.ask("/v2/models/iris-prod/versions/2/infer", body);
    throwing += Number(direct.status === 500);
  }
  await harness.until(() => pairs().pairs >= rows.length, "the pairs");
  await harness.until(() => mirrored().requests >= rows.length, "the counts");
  expect(throwing).toBeGreaterThan(10);
  expect(pairs()).toMatchObject({ pairs: rows.length, onlyCandidateBad: throwing });
  expect(pairs().onlyStableBad).toBe(0);
  expect(mirrored()).toEqual({ requests: rows.length, errors: throwing });
  // Neither what was mirrored nor what was targeted counts for an arm.
  expect(total(CANDIDATE)).toEqual(noArmCounts());
  expect(total(STABLE)).toMatchObject({ requests: rows.length, errors: 0 });
}, 60_000);

test("what the candidate fails and stable answers is a pair against the candidate", async () => {
  await begin("v2.0-throws");
  const mirror = { of: CANDIDATE, to: STABLE, percent: 100 };
  const watch = { ...WATCH, mirror };
  const safeguards = { fallback: true, breaker: false };
  await harness.publish(harness.route(revisions, CANDIDATE, { watch, safeguards }));
  for (const data of rows) {
    const body = { inputs: [{ name: "features", shape: [1, 4], datatype: "FP32", data }] };
    expect((await harness.ask("/v2/models/iris-prod/infer", body)).status).toBe(200);
  }
  await harness.until(() => total(CANDIDATE).requests >= rows.length, "the evidence");
  const { errors, fallback } = total(CANDIDATE);
  expect(errors).toBeGreaterThan(10);
  expect(fallback).toBe(errors);
  // Some may have found stable busy.
  await harness.until(() => pairs().onlyCandidateBad > errors / 2, "pairs against the candidate");
  expect(pairs().onlyCandidateBad).toBeLessThanOrEqual(errors);
  expect(pairs().onlyStableBad).toBe(0);
}, 60_000);

test("the same version under two names disagrees with itself never", async () => {
  await begin("v1.0");
  await harness.publish(mirroring());
  const answers: Answer[] = [];
  // Some find the candidate busy and are left out: on a busy machine most do.
  while (pairs().pairs <= 50)
    answers.push(...(await send(150)).filter((each) => each.status === 200));
  await harness.until(
    () => pairs().pairs === mirrored().requests,
    "a pair for each mirrored request",
  );
  // How many are left out is the machine's load, and told apart.
  const { skipped, latency, outputs, ...compared } = pairs();
  expect(compared).toMatchObject({ pairs: mirrored().requests, onlyCandidateBad: 0, disagreed: 0 });
  expect(Object.values(latency).flat().length).toBeGreaterThan(0);
  expect(outputs.filter(([candidate, stable]) => candidate !== stable)).toEqual([]);
  expect(outputs.length).toBeGreaterThan(1);
  expect(skipped).toBeLessThan(answers.length);
  expect(mirrored().requests).toBeLessThanOrEqual(answers.length);
}, 60_000);

/** The class that a revision names for a row. */
async function classOf(revision: number, data: readonly number[] | undefined): Promise<unknown> {
  const body = { inputs: [{ name: "features", shape: [1, 4], datatype: "FP32", data }] };
  const answer = await harness.ask(`/v2/models/iris-prod/versions/${revision}/infer`, body);
  const { outputs } = JSON.parse(answer.body) as {
    outputs: { datatype: string; data: unknown[] }[];
  };
  return outputs.find(({ datatype }) => datatype === "INT64" || datatype === "BYTES")?.data[0];
}

test("a classifier trained anew disagrees where its class is another, whatever its probabilities", async () => {
  await begin("v1.1");
  let others = 0;
  await harness.publish(mirroring());
  for (const data of rows) {
    const body = { inputs: [{ name: "features", shape: [1, 4], datatype: "FP32", data }] };
    await harness.ask("/v2/models/iris-prod/infer", body);
    others += Number((await classOf(STABLE, data)) !== (await classOf(CANDIDATE, data)));
  }
  await harness.until(() => pairs().pairs >= rows.length, "the pairs");
  expect(pairs()).toMatchObject({ pairs: rows.length, disagreed: others, onlyCandidateBad: 0 });
  expect(
    pairs().outputs.reduce((sum, [ours, theirs, times]) => sum + (ours === theirs ? 0 : times), 0),
  ).toBe(others);
  expect(others).toBeLessThan(rows.length / 4);
}, 60_000);

test("a mirror target that hangs and then dies costs callers nothing and is bad only for what it had", async () => {
  await begin("v1.1");
  await harness.publish(mirroring(1_000));
  const pid = await candidatePid(0);
  const load = harness.load(16);
  await harness.until(() => pairs().pairs > 0, "the first pair");
  process.kill(pid, "SIGSTOP");
  await harness.until(() => pairs().onlyCandidateBad > 0, "pairs past their deadline");
  const hung = pairs().onlyCandidateBad;
  process.kill(pid, "SIGKILL");
  await candidatePid(pid);
  const before = pairs().pairs;
  await harness.until(() => pairs().pairs > before + 10, "pairs with the replacement");
  const answers = await load.stop();
  expect(answers.filter((each) => each.status !== 200 || each.revision !== "1")).toEqual([]);
  // Four of each worker at the most; those that were still in it when it died are one.
  expect(hung).toBeLessThanOrEqual(8);
  expect(pairs().onlyCandidateBad).toBeLessThanOrEqual(9);
}, 60_000);
