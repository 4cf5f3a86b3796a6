import type { Strategy } from "../endpoint/index.ts";
import type { Policy, RolloutPlan, RolloutStep } from "./policy.ts";

/** Steps of a canary that names none. */
export const DEFAULT_CANARY_STEPS: readonly RolloutStep[] = [
  { kind: "weight", percent: 10, until: { requests: 1_000, timeMs: 600_000 } },
  { kind: "weight", percent: 50, until: { requests: 5_000, timeMs: 1_200_000 } },
];

/** What one deploy asks for beside the endpoint's policy. */
export interface DeployWishes {
  readonly strategy: Strategy | null;
  /** Percent of a canary that a person steers by hand, or null. */
  readonly weight: number | null;
  readonly bakeMs: number | null;
}

function planFor(plan: RolloutPlan, { strategy, weight }: DeployWishes): RolloutPlan {
  const wanted = strategy ?? plan.strategy;
  if (wanted === "canary" && weight !== null)
    return { strategy: "canary", steps: [{ kind: "weight", percent: weight, until: null }] };
  if (wanted === plan.strategy) return plan;
  switch (wanted) {
    case "canary":
      return { strategy: "canary", steps: DEFAULT_CANARY_STEPS };
    case "blueGreen":
      return { strategy: "blueGreen", steps: [], promotion: "automatic" };
    case "recreate":
      return { strategy: "recreate" };
  }
}

/** The policy of one rollout: the endpoint's, with what its deploy asked for. */
export function effectivePolicy(policy: Policy, wishes: DeployWishes): Policy {
  return {
    ...policy,
    rollout: planFor(policy.rollout, wishes),
    bakeMs: wishes.bakeMs ?? policy.bakeMs,
  };
}
