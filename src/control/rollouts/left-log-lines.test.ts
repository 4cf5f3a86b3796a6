/** The last log lines of what a rollback leaves are recorded with it. */
import { expect, test } from "vitest";

import { MEASURED, POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { metricOf } from "../../../test/support/signals-stage.ts";
import type { EndpointEvent, EndpointState } from "../../core/rollout/index.ts";
import { transition } from "../../core/rollout/index.ts";
import { withLogLines } from "./left-log-lines.ts";

const FROM_METRIC = ["ERROR by the metric"];
const FROM_OUTPUT = ["Killed"];

const asked: unknown[] = [];
const deps = {
  signals: {
    recentLogLines: (of: unknown) => {
      asked.push(of);
      return Promise.resolve(FROM_METRIC);
    },
    lastOutput: (of: unknown) => {
      asked.push(of);
      return Promise.resolve(FROM_OUTPUT);
    },
    collect: () => Promise.reject(new Error("not asked here")),
    unknownSources: () => [],
  },
};

/** As if what serves and what is rolled out were servers of their own. */
function managed(state: EndpointState): EndpointState {
  const runtime = { kind: "process", launcher: "python" } as never;
  return { ...state, revisions: state.revisions.map((revision) => ({ ...revision, runtime })) };
}

function switched({ activity }: EndpointState): EndpointEvent {
  const switchId = activity.phase === "RollingBack" ? activity.back.switchId : "s";
  return { type: "switched", switchId, measured: MEASURED };
}

const canary = (): Scenario => scenario().stable("v1.0").canary("v1.1");

const linesOf = (event: EndpointEvent): unknown => ("logLines" in event ? event.logLines : null);

test("of a managed version without a logs metric: what its process wrote, and the history has it", async () => {
  const state = managed(canary().rollsBack().state);
  const event = await withLogLines(deps, state, switched(state));
  expect(linesOf(event)).toEqual(FROM_OUTPUT);
  expect(asked.at(-1)).toEqual({ endpoint: state.identity.name, revision: 2 });
  const { history } = transition(state, event, 1);
  expect(history).toMatchObject([{ kind: "rollback.completed", data: { logLines: FROM_OUTPUT } }]);
});

test("with a logs metric: what that has read of the rollout, and nothing else", async () => {
  const logs = metricOf({ kind: "logs", name: "log", source: "app" } as never);
  const analysis = { ...POLICY.analysis, metrics: [logs] };
  const of = scenario()
    .stable("v1.0")
    .deploys("v1.1", { strategy: "canary", weight: 10, policy: { ...POLICY, analysis } })
    .settles();
  const { state } = of.rollsBack();
  expect(linesOf(await withLogLines(deps, state, switched(state)))).toEqual(FROM_METRIC);
});

test("what a gateway did alone has them too", async () => {
  const state = managed(canary().state);
  const event = {
    type: "overridden",
    id: "o1",
    from: 2,
    to: 1,
    at: 1,
    actor: "lastgood",
    reason: null,
    keepStatus: false,
    trigger: "breaker",
    measured: MEASURED,
  } as const;
  const told = await withLogLines(deps, state, event);
  const { history } = transition(state, told, 1);
  expect(history).toMatchObject([{ kind: "rollback.completed", data: { logLines: FROM_OUTPUT } }]);
});

test("every target failed: what it stays on has written them", async () => {
  const of = canary().rollsBack();
  const state = managed(of.state);
  const { switchId } = switched(state) as { readonly switchId: string };
  const failed = {
    type: "switchFailed",
    switchId,
    error: new Error("no answer") as never,
    choice: { targets: [], passedOver: [] },
    outage: null,
  } as const;
  const { history } = transition(state, await withLogLines(deps, state, failed), 1);
  expect(history).toMatchObject([{ kind: "rollback.failed", data: { logLines: FROM_OUTPUT } }]);
});

test("nothing is read where nothing is judged, or there is nothing of its own to read", async () => {
  const before = asked.length;
  const forward = managed(scenario().stable("v1.0").deploys("v1.1").succeeds().state);
  for (const state of [forward, canary().rollsBack().state, managed(canary().aborts().state)]) {
    const event = switched(state);
    expect(await withLogLines(deps, state, event)).toBe(event);
  }
  expect(asked).toHaveLength(before);
});

test("what cannot be read costs the lines, not the rollback", async () => {
  const state = managed(canary().rollsBack().state);
  const broken = { ...deps.signals, lastOutput: () => Promise.reject(new Error("EIO")) };
  const event = switched(state);
  expect(await withLogLines({ signals: broken }, state, event)).toBe(event);
});
