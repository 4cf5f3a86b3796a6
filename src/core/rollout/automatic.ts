import type { Trigger } from "../endpoint/index.ts";
import type { EndpointState } from "./state.ts";

const REMEMBERED = 32;

/** Whether nobody asked for a rollback that this triggered. */
export function isAutomatic(trigger: Trigger): boolean {
  return trigger !== "manual" && trigger !== "api";
}

/**
 * The state with one more rollback that nobody asked for, decided at `at` (ms since 1970): it counts for
 * the policy's `atMost` and `cooldown`. One that is heard of late is put where it belongs; a clock that
 * was ahead counts as far as its time has come.
 */
export function wentBack(state: EndpointState, now: number, at = now): EndpointState {
  const automatic = [...state.automatic, at]
    .map((each) => Math.min(each, now))
    .toSorted((one, other) => one - other);
  return { ...state, automatic: automatic.slice(-REMEMBERED) };
}
