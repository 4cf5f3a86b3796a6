import { policyChanges, policyToFile } from "../policy/index.ts";
import type { EndpointState } from "./state.ts";
import { settle, step, type EventOf, type Step } from "./step.ts";

/**
 * applyPolicy: kept for the rollouts to come. One that is under way goes on with what it was started
 * with: evidence that was weighed by other rules proves nothing. Moves no traffic and judges nothing,
 * so a rollback can still be reinstated after it.
 */
export function applyPolicy(state: EndpointState, event: EventOf<"applyPolicy">): Step {
  const { operation, policy, actor, reason } = event;
  const before = state.policy;
  const same = before !== null && policyChanges(before, policy).length === 0;
  const underWay = state.activity.phase === "Idle" ? "" : ", from the next rollout on";
  const done = same ? "the policy is in force already" : `the policy is in force${underWay}`;
  const told = settle(operation, { ok: true, did: "steered", done });
  if (same) return step(state, told);
  return step({ ...state, policy }, told, [
    {
      kind: "policy.applied",
      actor,
      reason,
      data: {
        before: before === null ? null : policyToFile(before),
        after: policyToFile(policy),
      },
    },
  ]);
}
