/** Routes that say what a test is about, and nothing else. */
import { parseDigest, parseEndpointName, parseModelName } from "../../src/core/version/index.ts";
import { DEFAULT_LIMITS, type Route, type RouteRevision } from "../../src/link/route/index.ts";

const NO_TENSORS = { inputs: [], outputs: [] };

/** A revision of an ONNX version without a name, whose number is its sequence and in its digest. */
export function routeRevision(number: number, change: Partial<RouteRevision> = {}): RouteRevision {
  return {
    revision: number,
    version: { model: parseModelName("fraud"), name: null, sequence: number },
    digest: parseDigest(`sha256:${String(number).padStart(64, "0")}`),
    runtime: { kind: "onnx", file: "model.onnx" },
    files: [],
    signature: NO_TENSORS,
    contract: NO_TENSORS,
    batching: { on: true },
    golden: [],
    limits: DEFAULT_LIMITS,
    ...change,
  };
}

/** Arms by their revisions' numbers. */
export function armsBy(weights: Readonly<Record<number, number>>): Route["split"]["arms"] {
  return Object.entries(weights).map(([number, weight]) => ({ revision: Number(number), weight }));
}

/** A route that serves nothing, without a rollout, a way back and a past. */
export function plainRoute(change: Partial<Route> = {}): Route {
  return {
    endpoint: parseEndpointName("fraud-prod"),
    model: parseModelName("fraud"),
    environment: "production",
    order: { generation: 1, epoch: 1, sequence: 1 },
    split: { salt: "s", arms: [] },
    revisions: [],
    hold: null,
    watch: null,
    safeguards: { fallback: false, breaker: false },
    predictions: false,
    historyHead: null,
    rolledBack: null,
    acknowledges: [],
    targets: [],
    passedOver: [],
    ...change,
  };
}

/** A rollout of revision 2 over revision 1 that is watched. */
export const WATCHED: NonNullable<Route["watch"]> = {
  rollout: "r",
  candidate: 2,
  stable: 1,
  candidateShare: null,
  flushMs: 1_000,
  deadlineMs: 30_000,
  mirror: null,
  inputs: null,
};
