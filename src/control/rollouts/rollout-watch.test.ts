/** What a watch makes of the stored evidence, also in a control plane that was away. */
import { afterEach, beforeEach, expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { metricOf, SignalsStage } from "../../../test/support/signals-stage.ts";
import { noPairCounts } from "../../core/analysis/index.ts";
import { evidenceIdOf, rolloutOf } from "../../core/rollout/index.ts";
import type { Evidence } from "../../link/count/index.ts";
import type { RequestIds } from "../../link/request-id/index.ts";
import { Gateways } from "../link/index.ts";
import type { EndpointDeps } from "./deps.ts";
import { gatewayRecord } from "./evidence-record.ts";
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

/** A canary whose labels are judged. */
function canaryWithLabels(): Scenario {
  const analysis = { ...POLICY.analysis, metrics: [accuracy] };
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

/** What a gateway saw within the minute that began then: nothing of note. */
async function gatewaySees(sequence: number, split: number, from: number): Promise<void> {
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
  of = canaryWithLabels();
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

test("a control plane that starts again stores its labels beside those before, and counts all once", async () => {
  await feedbackOn(stage.now);
  await watch.look(of.state);
  await restart();
  await feedbackOn(stage.now);
  const look = await watch.look(of.state);
  expect(await signalsStored()).toHaveLength(2);
  const [metric] = look?.assessment.metrics ?? [];
  expect(metric).toMatchObject({
    name: "accuracy",
    candidate: { observations: 2, bad: 2 },
    stable: { observations: 2, bad: 0 },
  });
  await restart();
  expect((await watch.look(of.state))?.assessment.metrics).toEqual(look?.assessment.metrics);
});

async function seen(): Promise<number | null | undefined> {
  return (await watch.look(of.state))?.event.seenUntil;
}

test("a look says up to when it heard of everything: not before two intervals with a gateway", async () => {
  gateways = [];
  expect(await seen()).toBeNull();
  stage.now += MINUTE_MS;
  expect(await seen(), "no gateway is there to tell").toBeNull();
  gateways = ["host"];
  const { flushMs } = POLICY.analysis;
  expect(await seen(), "it has just come").toBeNull();
  stage.now += 2 * flushMs - 1;
  expect(await seen()).toBeNull();
  stage.now += 1;
  expect(await seen()).toBe(stage.now);
  watchAnew();
  expect(await seen(), "a control plane that has just started").toBeNull();
});
