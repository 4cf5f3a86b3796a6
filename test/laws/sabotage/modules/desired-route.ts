/** Law 1 taken out: nothing is kept loaded beyond what serves or is on its way. */
import * as original from "../../../../src/control/rollouts/desired-route.ts";
import { neededRevisions } from "../../../../src/core/rollout/index.ts";

// What the sabotage does not replace.
export * from "../../../../src/control/rollouts/desired-route.ts";

export const KEEP_WARM = 0;

export const loadedRevisions: typeof original.loadedRevisions = (state) => neededRevisions(state);

export const desiredRoute: typeof original.desiredRoute = (parts) => {
  const route = original.desiredRoute(parts);
  const needed = neededRevisions(parts.state);
  return {
    ...route,
    revisions: route.revisions.filter(({ revision }) => needed.includes(revision)),
  };
};
