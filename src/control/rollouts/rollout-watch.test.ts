/** What a watch makes of the stored evidence, also in a control plane that was away. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { metricOf, SignalsStage } from "../../../test/support/signals-stage.ts";
import { METRICS } from "../../../test/support/watch.ts";
import { noArmCounts, noPairCounts, type Assessment } from "../../core/analysis/index.ts";
import { NO_SIGNAL_SOURCES, signalSourceKeys, type Metric } from "../../core/policy/index.ts";
import { evidenceIdOf, rolloutOf } from "../../core/rollout/index.ts";
import type { Evidence } from "../../link/count/index.ts";
import type { RequestIds } from "../../link/request-id/index.ts";
import { Gateways } from "../link/index.ts";
import type { EndpointDeps } from "./deps.ts";
import { gatewayRecord, planIn } from "./evidence-record.ts";
import { RolloutWatch } from "./rollout-watch.ts";

const MINUTE_MS = 60_000;
const accuracy = metricOf({ kind: "accuracy", name: "accuracy" });

let of: Scenario;
let stage: SignalsStage;
let watch: RolloutWatch;
/** Of what each revision answered, over restarts. */
let ids: { readonly candidate: RequestIds; readonly stable: RequestIds };

/** Who is connected. */
let gateways: readonly string[];

/** A canary that is judged by this metric. */
function canaryWith(metric: Metric): Scenario {
  const analysis = { ...POLICY.analysis, metrics: [metric] };
  return scenario()
    .stable("v1.0")
    .deploys("v1.1", { strategy: "canary", weight: 10, policy: { ...POLICY, analysis } })
    .settles();
}

/** As a control plane that has just started. */
function watchAnew(): void {
  const deps: Pick<EndpointDeps, "store" | "signals" | "clock" | "gateways"> = {
    store: stage.store,
    signals: stage.signals,
    clock: { now: () => stage.now, monotonic: () => stage.now },
    gateways: Object.assign(new Gateways({ arriveMs: 0 }), { connected: () => gateways }),
  };
  watch = new RolloutWatch(deps as EndpointDeps, () => Promise.resolve(of.choice()));
}

async function restart(): Promise<void> {
  await stage.restart();
  watchAnew();
}

function watchId(): string {
  const rollout = rolloutOf(of.state);
  if (rollout === null) throw new Error("nothing is under watch");
  return evidenceIdOf(rollout);
}

/** What a gateway saw within the minute that began then: nothing of note, but for what is given. */
async function gatewaySees(
  sequence: number,
  split: number,
  from: number,
  seen: Partial<Evidence> = {},
): Promise<void> {
  const evidence: Evidence = {
    gateway: "host",
    incarnation: "i1",
    endpoint: "fraud-prod",
    rollout: watchId(),
    sequence,
    split,
    candidateShare: null,
    from,
    to: from + MINUTE_MS,
    arms: [],
    pairs: noPairCounts(),
    errors: [],
    lost: 0,
    ...seen,
  };
  await stage.store.evidence.append([gatewayRecord(evidence)]);
}

/** A good answer of stable and a wrong one of the candidate, as callers say later. */
async function feedbackOn(at: number): Promise<void> {
  await stage.signals.take([
    { requestId: ids.candidate.next(at), correct: false },
    { requestId: ids.stable.next(at), correct: true },
  ]);
}

/** What was stored of labels, oldest first. */
async function signalsStored(): Promise<readonly unknown[]> {
  const records = await stage.store.evidence.list(watchId());
  return records
    .filter(({ source }) => source === "signals")
    .map(({ body }) => (body as { signals: Record<string, unknown> }).signals["accuracy"]);
}

beforeEach(async () => {
  of = canaryWith(accuracy);
  stage = new SignalsStage();
  stage.now = of.now;
  await stage.open();
  ids = { candidate: stage.ids(2), stable: stage.ids(1) };
  gateways = ["host"];
  watchAnew();
});
afterEach(() => stage.end());

test("labels of requests from before a restart count under the split of their request", async () => {
  const began = stage.now;
  await watch.look(of.state);
  await gatewaySees(0, 3, began);
  await gatewaySees(1, 4, began + 10 * MINUTE_MS);
  stage.now = began + 12 * MINUTE_MS;
  await restart();
  await feedbackOn(began + MINUTE_MS);
  await feedbackOn(stage.now);
  await watch.look(of.state);
  await watch.look(of.state);
  const each = { candidate: { observations: 1, bad: 1 }, stable: { observations: 1, bad: 0 } };
  expect(await signalsStored()).toMatchObject([
    { split: 3, ...each },
    { split: 4, ...each },
  ]);
});

test.each(["onnx", "remote"] as const)(
  "latency on copies, %s: without a past of stable it brings back what asks nobody, and holds what a server answers",
  async (kind) => {
    const analysis = { ...POLICY.analysis, metrics: [METRICS.latency, METRICS.errorRate] };
    of = scenario()
      .stable("v1.0")
      .deploys("v1.1", { strategy: "blueGreen", policy: { ...POLICY, analysis } })
      .settles();
    const runtime = { kind: "remote", remote: "elsewhere" } as const;
    const served = ({ revisions }: typeof of.state): typeof revisions =>
      kind === "onnx" ? revisions : revisions.map((each) => ({ ...each, runtime }));
    await watch.look({ ...of.state, revisions: served(of.state) });
    const plan = planIn(await stage.store.evidence.list(watchId()));
    expect(plan).toMatchObject({
      comparison: "paired",
      metrics: [{ role: kind === "onnx" ? "rollback" : "hold" }, { role: "rollback" }],
    });
  },
);

test("labels of requests from before the gateway began anew count under the split of their request", async () => {
  const began = stage.now;
  await watch.look(of.state);
  await gatewaySees(0, 3, began);
  await gatewaySees(1, 4, began + 10 * MINUTE_MS);
  await gatewaySees(0, 1, began + 20 * MINUTE_MS, { incarnation: "i2" });
  stage.now = began + 22 * MINUTE_MS;
  await watch.look(of.state);
  await feedbackOn(began + MINUTE_MS);
  await feedbackOn(began + 11 * MINUTE_MS);
  await feedbackOn(stage.now);
  for (let looks = 0; looks < 3; looks += 1) await watch.look(of.state);
  expect(await signalsStored()).toMatchObject([{ split: 3 }, { split: 4 }, { split: 5 }]);
});

test("a control plane that starts again stores its labels beside those before, and counts all once", async () => {
  await feedbackOn(stage.now);
  await watch.look(of.state);
  await restart();
  await feedbackOn(stage.now);
  const look = await watch.look(of.state);
  expect(await signalsStored()).toHaveLength(2);
  expect(look?.event.look).toMatchObject({
    id: watchId(),
    position: await stored(),
    context: { now: stage.now, phase: "canary" },
  });
  const [metric] = look?.assessment.metrics ?? [];
  expect(metric).toMatchObject({
    name: "accuracy",
    candidate: { observations: 2, bad: 2 },
    stable: { observations: 2, bad: 0 },
  });
  await restart();
  expect((await watch.look(of.state))?.assessment.metrics).toEqual(look?.assessment.metrics);
});

async function heardUntil(): Promise<number | null | undefined> {
  return (await watch.look(of.state))?.event.seenUntil;
}

test("a look says up to when it heard of everything: not before two intervals with a gateway", async () => {
  gateways = [];
  expect(await heardUntil()).toBeNull();
  stage.now += MINUTE_MS;
  expect(await heardUntil(), "no gateway is there to tell").toBeNull();
  gateways = ["host"];
  const { flushMs } = POLICY.analysis;
  expect(await heardUntil(), "it has just come").toBeNull();
  stage.now += 2 * flushMs - 1;
  expect(await heardUntil()).toBeNull();
  stage.now += 1;
  expect(await heardUntil()).toBe(stage.now);
  watchAnew();
  expect(await heardUntil(), "a control plane that has just started").toBeNull();
});

/** What a look says. */
const verdict = async () => (await watch.look(of.state))?.assessment;

/** How many records the watch has. */
const stored = async () => (await stage.store.evidence.list(watchId())).length;

describe("a source that could not be read", () => {
  const log = metricOf({ kind: "logs", name: "app", source: "app" });
  let file: string;

  beforeEach(async () => {
    file = join(stage.folder, "app.log");
    mkdirSync(file);
    const logs = signalSourceKeys.logs.parse({ app: { files: [file], format: "json" } });
    stage.sources = { ...NO_SIGNAL_SOURCES, logs };
    of = canaryWith(log);
    await restart();
    await watch.look(of.state);
  });

  test("holds until it is read again, though it has nothing to say", async () => {
    expect(await verdict()).toMatchObject({ decision: "hold", source: "broken" });
    rmSync(file, { recursive: true });
    expect(await verdict()).toMatchObject({ decision: "continue", source: "ok" });
    const told = await stored();
    await verdict();
    expect(await stored(), "told once").toBe(told);
  });

  test("is known to be broken by a control plane that starts again, and to be mended", async () => {
    expect(await verdict()).toMatchObject({ source: "broken" });
    rmSync(file, { recursive: true });
    await restart();
    expect(await verdict()).toMatchObject({ decision: "continue", source: "ok" });
    await restart();
    expect(await verdict()).toMatchObject({ source: "ok" });
  });
});

/** What a look says after this, in the minute that follows. */
async function verdictAfter(sequence: number, arms: Evidence["arms"]): Promise<Assessment> {
  await gatewaySees(sequence, 1, stage.now, { arms });
  stage.now += MINUTE_MS;
  const look = await watch.look(of.state);
  if (look === null) throw new Error("nothing is under watch");
  return look.assessment;
}

const arm = (revision: number, requests: number, errors = 0, fallback = 0) => ({
  revision,
  counts: { ...noArmCounts(), requests, errors, fallback },
});

describe("a canary without a holdback", () => {
  const bare = { ...POLICY, holdback: 0 };

  beforeEach(async () => {
    of = scenario()
      .stable("v1.0")
      .deploys("v1.1", { strategy: "canary", weight: 10, policy: bare })
      .settles();
    await watch.look(of.state);
  });

  test("whose candidate fails in the bake is held until stable was asked, and then goes back", async () => {
    expect(await verdictAfter(0, [arm(2, 10), arm(1, 90)])).toMatchObject({ decision: "continue" });
    of.promotes().settles();
    expect(of.phase).toBe("Baking");
    expect(await verdictAfter(1, [arm(2, 100, 50)])).toMatchObject({
      decision: "hold",
      why: expect.stringContaining("nothing it failed was tried on stable") as string,
    });
    const answered = await verdictAfter(2, [arm(2, 100, 50, 50)]);
    expect(answered).toMatchObject({ decision: "rollback", blamed: ["errorRate"] });
    expect(answered.why).toContain("stable answers what it fails");
  });

  test("is compared with stable in its steps, where stable need not be asked", async () => {
    const compared = await verdictAfter(0, [arm(2, 20, 20), arm(1, 180)]);
    expect(compared).toMatchObject({ decision: "rollback", blamed: ["errorRate"] });
  });
});
