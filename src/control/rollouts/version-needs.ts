import { revisionOf, rolloutOf, type EndpointState } from "../../core/rollout/index.ts";
import type { Target } from "../../core/target/index.ts";

const GOES_BACK = "would go back to it";

/** Sequence numbers of versions, and what the endpoint does with them. */
type Roles = readonly (readonly [number | undefined, string])[];

function rolesOf(state: EndpointState, targets: readonly Target[]): Roles {
  const rollout = rolloutOf(state);
  const of = (number: number | null | undefined): number | undefined =>
    revisionOf(state, number ?? null)?.version.sequence;
  return [
    [of(state.current), "serves it"],
    [of(rollout?.candidate), "is rolling it out"],
    [of(rollout?.from), GOES_BACK],
    ...targets.map(({ version }) => [version.sequence, GOES_BACK] as const),
  ];
}

function firstRole(state: EndpointState, roles: Roles, sequence: number): readonly string[] {
  const role = roles.find(([version]) => version === sequence);
  return role === undefined ? [] : [`${state.identity.name} ${role[1]}`];
}

/**
 * Why the endpoint needs the version, in words; empty where it does not. `targets` is where it would go
 * back to now, the first choice first.
 */
export function needs(
  state: EndpointState,
  targets: readonly Target[],
  sequence: number,
): readonly string[] {
  return firstRole(state, rolesOf(state, targets.slice(0, 1)), sequence);
}

/** The same, and what a command could bring back: other targets, the revision that the last rollback left. */
export function withinReach(
  state: EndpointState,
  targets: readonly Target[],
  sequence: number,
): readonly string[] {
  const left = revisionOf(state, state.lastRollback?.from ?? null)?.version.sequence;
  const roles = [...rolesOf(state, targets), [left, "could take its last rollback back"] as const];
  return firstRole(state, roles, sequence);
}
