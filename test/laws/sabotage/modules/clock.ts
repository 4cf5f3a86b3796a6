/** Law 7 taken out: the clock ends a bake, whatever came of requests that nobody has looked at. */
import { succeed } from "../../../../src/core/rollout/advance.ts";
import { isBaked } from "../../../../src/core/rollout/bake.ts";
import * as original from "../../../../src/core/rollout/clock.ts";
import { rolloutOf } from "../../../../src/core/rollout/state.ts";

// What the sabotage does not replace.
export * from "../../../../src/core/rollout/clock.ts";

export const isTickDue: typeof original.isTickDue = (state, now) =>
  isBaked(state.activity, now) || original.isTickDue(state, now);

export const tick: typeof original.tick = (state, now) => {
  const rollout = rolloutOf(state);
  if (rollout === null || !isBaked(state.activity, now)) return original.tick(state, now);
  return succeed(state, rollout, { actor: "lastgood", reason: null, now });
};
