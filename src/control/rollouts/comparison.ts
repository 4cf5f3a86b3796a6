import { isDeepStrictEqual } from "node:util";

import { comparisonUnder, type Comparison } from "../../core/analysis/index.ts";
import type { Policy } from "../../core/policy/index.ts";
import { revisionOf, type EndpointState } from "../../core/rollout/index.ts";

/**
 * What a rollout is compared with. Without copies there are no pairs: then with what stable did before.
 * `inputs`: of the signatures of both; `takesCopies`: whether stable's runtime may be asked again.
 */
export function comparisonIn(
  policy: Pick<Policy, "rollout" | "holdback">,
  between: { readonly inputs: readonly [unknown, unknown]; readonly takesCopies: boolean },
): Comparison {
  const wanted = comparisonUnder(policy);
  if (wanted !== "paired") return wanted;
  return isDeepStrictEqual(...between.inputs) && between.takesCopies ? "paired" : "absolute";
}

/** Whether one of the compared revisions is answered by a server of its own, which may ask others in turn. */
export function askServers(
  state: EndpointState,
  { from, candidate }: { readonly from: number | null; readonly candidate: number },
): boolean {
  return [from, candidate].some((one) => {
    const kind = revisionOf(state, one)?.runtime.kind;
    return kind !== undefined && kind !== "onnx";
  });
}
