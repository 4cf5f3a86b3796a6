import * as z from "zod";

import { smallestDetectableRate } from "../evidence/index.ts";
import type { AnalysisPolicy, Policy, RolloutStep } from "../policy/index.ts";
import type { Comparison } from "./plan.ts";
import type { Traffic } from "./traffic.ts";
import type { Untested } from "./untested.ts";

const stageSchema = z.object({
  kind: z.enum(["weight", "mirror", "pause", "analysis", "bake"]),
  /** Percent that the candidate carries, or that is mirrored; null where the step changes nothing. */
  percent: z.number().nullable(),
  /** Requests that it waits for; null where it waits for none. */
  requests: z.number().int().nullable(),
  /** Null: until a person says so. */
  timeMs: z.number().nullable(),
  /** The smallest error rate of the candidate that it sees by itself, half of the time; null: nobody knows. */
  detectable: z.number().nullable(),
});

/** What a rollout is about to do, and what it will be able to see. */
export const outlookSchema = z.object({
  /** `live`: stable beside it; `paired`: copies; `absolute`: nothing but what stable did before. */
  comparison: z.enum(["live", "paired", "absolute"]),
  /** What stable did alone, shortly before; null: no traffic was seen. */
  traffic: z
    .object({
      requestsPerSecond: z.number(),
      errorRate: z.number(),
      requests: z.number().int(),
      observedMs: z.number(),
    })
    .nullable(),
  /** Its steps in order, the bake last. */
  stages: z.array(stageSchema),
  /** Metrics of the policy that say nothing in this rollout, why, and what would test them. */
  untested: z.array(z.object({ metric: z.string(), why: z.string(), testedBy: z.string() })),
});

/** What a rollout is about to do, and what it will be able to see. */
export type Outlook = z.infer<typeof outlookSchema>;

/** What of a rollout tells its outlook. */
export interface Planned {
  readonly analysis: AnalysisPolicy;
  readonly comparison: Comparison;
  readonly steps: readonly RolloutStep[];
  /** A person takes the steps. */
  readonly byHand: boolean;
  readonly bakeMs: number;
  /** In the bake: share beside the candidate, a fraction. */
  readonly holdback: number;
}

/** What a rollout under a policy is compared with. */
export function comparisonUnder({
  rollout,
  holdback,
}: Pick<Policy, "rollout" | "holdback">): Comparison {
  if (rollout.strategy === "canary") return "live";
  return rollout.strategy === "blueGreen" && holdback > 0 ? "paired" : "absolute";
}

/** Whether a comparison with live traffic ends with a bake in which stable has none: all went over. */
export function bakesAlone({
  comparison,
  bakeMs,
  holdback,
}: Pick<Planned, "comparison" | "bakeMs" | "holdback">): boolean {
  return comparison === "live" && bakeMs > 0 && holdback === 0;
}

/** A rollout under a policy, that nobody steers by hand. */
export function plannedUnder(policy: Policy): Planned {
  const { rollout, analysis, bakeMs, holdback } = policy;
  return {
    analysis,
    comparison: comparisonUnder(policy),
    steps: rollout.strategy === "recreate" ? [] : rollout.steps,
    byHand: false,
    bakeMs,
    holdback,
  };
}

/** The share of evidence that errors have; null where they bring nothing back. */
function errorShare({ metrics }: AnalysisPolicy): {
  readonly weight: number;
  readonly tolerance: { readonly absolute: number; readonly relative: number };
} | null {
  const acting = metrics.filter(({ action, kind }) => action === "rollback" && kind !== "health");
  const errors = acting.find((metric) => metric.kind === "errorRate");
  if (errors?.tolerance === undefined || errors.tolerance === null) return null;
  const total = acting.reduce((sum, { weight }) => sum + weight, 0);
  // What others leave of the whole goes to the error rate.
  const weight = total <= 1 ? errors.weight + (1 - total) : errors.weight / total;
  return { weight, tolerance: errors.tolerance };
}

/** `percent` of the traffic for so long, mirrored or carried: the smallest error rate that shows. */
function detectable(
  { analysis }: Planned,
  traffic: Traffic | null,
  stage: { readonly share: number; readonly mirrored: boolean; readonly requests: number },
): number | null {
  const errors = errorShare(analysis);
  const { share, mirrored, requests } = stage;
  if (traffic === null || errors === null || traffic.errorRate >= 1) return null;
  if (!(share > 0 && (mirrored || share < 1))) return null;
  const plan = {
    ...errors.tolerance,
    baseRate: traffic.errorRate,
    alpha: analysis.alpha * errors.weight,
    dispersion: traffic.dispersion,
  };
  // Both answer each copy: no worse than two arms of that size.
  return mirrored
    ? smallestDetectableRate({ ...plan, split: 0.5 }, 2 * share * requests)
    : smallestDetectableRate({ ...plan, split: share }, requests);
}

function stageOf(
  planned: Planned,
  traffic: Traffic | null,
  step: RolloutStep,
  carried: number,
): Outlook["stages"][number] {
  if (step.kind === "pause")
    return {
      kind: "pause",
      percent: null,
      requests: null,
      timeMs: step.forMs,
      detectable: null,
    };
  const percent = step.kind === "analysis" ? carried : step.percent;
  const share = percent / 100;
  const { requests, timeMs } = step.until;
  const come = Math.max(
    ((traffic?.requestsPerSecond ?? 0) * timeMs) / 1_000,
    requests / Math.max(share, 1e-6),
  );
  const seen = { share, mirrored: step.kind === "mirror", requests: come };
  return {
    kind: step.kind,
    percent: step.kind === "analysis" ? null : percent,
    requests: planned.byHand || requests === 0 ? null : requests,
    timeMs: planned.byHand ? null : timeMs,
    detectable: planned.byHand ? null : detectable(planned, traffic, seen),
  };
}

/**
 * What a rollout is about to do, and the smallest regression that each of its stages can see by itself
 * with the traffic so far; what one stage has seen counts in the next as well, so that together they
 * see more.
 */
export function foresee(
  planned: Planned,
  traffic: Traffic | null,
  untested: readonly Untested[] = [],
): Outlook {
  const stages: Outlook["stages"][number][] = [];
  let carried = 0;
  for (const step of planned.steps) {
    stages.push(stageOf(planned, traffic, step, carried));
    if (step.kind === "weight") carried = step.percent;
  }
  const { bakeMs, holdback, comparison } = planned;
  const requests = ((traffic?.requestsPerSecond ?? 0) * bakeMs) / 1_000;
  const mirrored = comparison === "paired";
  const share = mirrored ? holdback : 1 - holdback;
  if (bakeMs > 0)
    stages.push({
      kind: "bake",
      percent: mirrored ? 100 : share * 100,
      requests: null,
      timeMs: bakeMs,
      detectable:
        comparison === "absolute"
          ? null
          : detectable(planned, traffic, { share, mirrored, requests }),
    });
  if (traffic === null) return { comparison, traffic, stages, untested: [...untested] };
  const { requestsPerSecond, errorRate, observedMs } = traffic;
  return {
    comparison,
    traffic: { requestsPerSecond, errorRate, observedMs, requests: traffic.requests },
    stages,
    untested: [...untested],
  };
}
