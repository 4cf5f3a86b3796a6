/** Law 6 taken out: whatever the evidence says, it goes on. */
import * as original from "../../../../src/core/analysis/assess.ts";

// What the sabotage does not replace.
export * from "../../../../src/core/analysis/assess.ts";

export const assess: typeof original.assess = (state, context) => ({
  ...original.assess(state, context),
  decision: "continue",
});
