/** Law 6 taken out: whatever the evidence says, it goes on. */
import * as original from "../../../../src/core/analysis/assess.ts";

export type { AssessmentContext, Verdict } from "../../../../src/core/analysis/assess.ts";

export const { contextOf, recompute, verdictOf } = original;

export const assess: typeof original.assess = (state, context) => ({
  ...original.assess(state, context),
  decision: "continue",
});
