import type * as z from "zod";

import { defaultEndpointName } from "../endpoint/index.ts";
import { parseEndpointName } from "../version/index.ts";
import type { PolicyPart, policyFileSchema, StepPart } from "./file-schema.ts";
import { METRIC_KINDS } from "./metric-schema.ts";
import type { Mistake } from "./mistake.ts";
import type { EndpointPolicy, Metric, Policy, RolloutPlan, RolloutStep } from "./policy.ts";

/** A value, or what is wrong. */
export interface Outcome<T> {
  readonly value: T;
  readonly mistakes: readonly Mistake[];
}

const STEP_KINDS = ["weight", "mirror", "pause", "analysis"] as const;
const STRATEGY_KEYS = ["canary", "blueGreen", "recreate"] as const;
const METRIC_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

function readStep(part: StepPart, path: readonly PropertyKey[], mistakes: Mistake[]): RolloutStep {
  const given = STEP_KINDS.filter((kind) => part[kind] !== undefined);
  if (given.length !== 1)
    mistakes.push({
      path,
      message:
        given.length === 0
          ? `is no step: write one of ${STEP_KINDS.join(", ")}`
          : `says ${given.join(" and ")}: write them as steps of their own`,
    });
  const until = { requests: part.until.requests, timeMs: part.until.time };
  if (part.weight !== undefined) return { kind: "weight", percent: part.weight, until };
  if (part.mirror !== undefined) return { kind: "mirror", percent: part.mirror, until };
  if (part.pause !== undefined)
    return { kind: "pause", forMs: part.pause === "manual" ? null : part.pause };
  const end = part.analysis ?? { requests: 1_000, time: 3_600_000 };
  return { kind: "analysis", until: { requests: end.requests, timeMs: end.time } };
}

function readPlan({ rollout }: PolicyPart, mistakes: Mistake[]): RolloutPlan {
  const given = STRATEGY_KEYS.filter((key) => rollout[key] !== undefined);
  const [, second] = given;
  if (second !== undefined)
    mistakes.push({
      path: ["rollout", second],
      message: `a rollout has one strategy, not ${given.join(" and ")}`,
    });
  const { canary, blueGreen, recreate } = rollout;
  const steps = (canary ?? blueGreen)?.steps ?? [];
  const strategy = canary === undefined ? "blueGreen" : "canary";
  const plan = steps.map((part, index) =>
    readStep(part, ["rollout", strategy, "steps", index], mistakes),
  );
  if (canary !== undefined) return { strategy: "canary", steps: plan };
  if (recreate !== undefined) return { strategy: "recreate" };
  return { strategy: "blueGreen", steps: plan, promotion: blueGreen?.promotion ?? "automatic" };
}

function place({ name }: Metric): number {
  const at = METRIC_KINDS.indexOf(name);
  return at === -1 ? METRIC_KINDS.length : at;
}

/** In a fixed order, so that the same policy written in another order is the same. */
function inOrder(one: Metric, other: Metric): number {
  if (place(one) !== place(other)) return place(one) - place(other);
  return one.name < other.name ? -1 : 1;
}

function readMetrics({ analysis }: PolicyPart, mistakes: Mistake[]): readonly Metric[] {
  const metrics: Metric[] = [];
  for (const [name, named] of Object.entries(analysis.metrics)) {
    if (!METRIC_NAME.test(name))
      mistakes.push({
        path: ["analysis", "metrics", name],
        message: "is not a metric's name: letters, digits, _ and - are accepted, 63 at most",
      });
    const metric = named?.(name) ?? null;
    if (metric !== null) metrics.push(metric);
  }
  if (metrics.length > 50)
    mistakes.push({ path: ["analysis", "metrics"], message: "are more than 50" });
  return metrics.toSorted(inOrder);
}

/** The policy that a file's part says, and what contradicts itself in it. */
export function readPart(part: PolicyPart): Outcome<Policy> {
  const mistakes: Mistake[] = [];
  const { rollout, analysis, rollback } = part;
  const value: Policy = {
    rollout: readPlan(part, mistakes),
    bakeMs: rollout.bake,
    holdback: rollout.holdback,
    analysis: {
      alpha: analysis.alpha,
      holdAlpha: analysis.holdAlpha,
      beta: analysis.beta,
      margin: analysis.margin,
      early: analysis.early,
      minRequests: analysis.minRequests,
      flushMs: analysis.flush,
      deadlineMs: analysis.deadline,
      dispersion: analysis.dispersion,
      metrics: readMetrics(part, mistakes),
      inconclusive: {
        action: analysis.inconclusive.then,
        deadlineMs: analysis.inconclusive.deadline,
      },
      noData: { action: analysis.noData.then, afterMs: analysis.noData.after },
    },
    rollback: {
      automatic: rollback.automatic,
      fallback: rollback.fallback,
      cooldownMs: rollback.cooldown,
      atMost: rollback.atMost,
    },
  };
  return { value, mistakes };
}

/** Whom the policy is for. */
export function readHead(file: z.output<typeof policyFileSchema>): Omit<EndpointPolicy, "policy"> {
  const { model, environment = null } = file;
  const name =
    file.name ?? parseEndpointName(defaultEndpointName(model, environment ?? "production"));
  return { name, model, environment };
}
