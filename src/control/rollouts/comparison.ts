import { isDeepStrictEqual } from "node:util";

import { comparisonUnder, type Comparison } from "../../core/analysis/index.ts";
import type { Policy } from "../../core/policy/index.ts";

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
