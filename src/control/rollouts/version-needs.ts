import { revisionOf, rolloutOf, type EndpointState } from "../../core/rollout/index.ts";

type Roles = readonly (readonly [number | null | undefined, string])[];

function rolesOf(state: EndpointState): Roles {
  const rollout = rolloutOf(state);
  const before = state.revisions.findLast(
    (revision) => revision.status === "stable" && revision.revision < (state.current ?? 0),
  );
  return [
    [state.current, "serves it"],
    [rollout?.candidate, "is rolling it out"],
    [rollout?.from, "would go back to it"],
    [before?.revision, "would go back to it"],
  ];
}

function firstRole(state: EndpointState, roles: Roles, sequence: number): readonly string[] {
  const role = roles.find(
    ([number]) => revisionOf(state, number ?? null)?.version.sequence === sequence,
  );
  return role === undefined ? [] : [`${state.identity.name} ${role[1]}`];
}

/** Why the endpoint needs the version, in words; empty where it does not. */
export function needs(state: EndpointState, sequence: number): readonly string[] {
  return firstRole(state, rolesOf(state), sequence);
}

/** The same, and what a command could bring back: the revision that the last rollback left. */
export function withinReach(state: EndpointState, sequence: number): readonly string[] {
  const left = [state.lastRollback?.from, "could take its last rollback back"] as const;
  return firstRole(state, [...rolesOf(state), left], sequence);
}
