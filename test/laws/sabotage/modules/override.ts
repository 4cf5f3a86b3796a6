/** Law 7 taken out: what a gateway did on its own is acknowledged, and forgotten. */
import type * as original from "../../../../src/core/rollout/override.ts";
import { step } from "../../../../src/core/rollout/step.ts";

// What the sabotage does not replace.
export * from "../../../../src/core/rollout/override.ts";

export const overridden: typeof original.overridden = (state, event) =>
  step({ ...state, acknowledged: [...state.acknowledged, event.id] }, [{ do: "publish" }]);
