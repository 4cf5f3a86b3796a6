import type { Strategy } from "../endpoint/index.ts";
import type { Policy, RolloutPlan } from "./policy.ts";
import { defaultPolicy } from "./schema.ts";

/** What one deploy asks for beside the endpoint's policy. */
export interface DeployWishes {
  readonly strategy: Strategy | null;
  /** Percent of a canary that a person steers by hand, or null. */
  readonly weight: number | null;
  readonly bakeMs: number | null;
}

/** Steps by hand end when a person says so, not by this. */
const AT_ONCE = { requests: 0, timeMs: 0 };

function planFor(plan: RolloutPlan, { strategy, weight }: DeployWishes): RolloutPlan {
  const wanted = strategy ?? plan.strategy;
  if (wanted === "canary" && weight !== null)
    return { strategy: "canary", steps: [{ kind: "weight", percent: weight, until: AT_ONCE }] };
  if (wanted === plan.strategy) return plan;
  return defaultPolicy(wanted).rollout;
}

/** The policy of one rollout: the endpoint's, with what its deploy asked for. */
export function effectivePolicy(policy: Policy, wishes: DeployWishes): Policy {
  return {
    ...policy,
    rollout: planFor(policy.rollout, wishes),
    bakeMs: wishes.bakeMs ?? policy.bakeMs,
  };
}
