import type { Revision } from "../../core/endpoint/index.ts";
import { ENVIRONMENTS } from "../../core/endpoint/index.ts";
import { newEndpoint, type EndpointState } from "../../core/rollout/index.ts";
import { mainArm, type Route } from "../../link/route/index.ts";

/**
 * An endpoint as far as a gateway's route tells, for a store that lost it: what serves and the
 * targets count as stable, for the route names only trusted ones as targets; who judged and why is
 * gone, and the history says so.
 */
export function endpointFromRoute(route: Route, now: number): EndpointState {
  const environment = ENVIRONMENTS.find((known) => known === route.environment) ?? "production";
  const current = mainArm(route);
  const trusted = new Set(route.targets.flatMap((target) => target.revision ?? []));
  if (current !== null) trusted.add(current);
  const revisions = route.revisions
    .toSorted((a, b) => a.revision - b.revision)
    .map((revision): Revision => {
      const stable = trusted.has(revision.revision);
      return {
        revision: revision.revision,
        version: revision.version,
        digest: revision.digest,
        runtime: revision.runtime,
        signature: revision.signature,
        changedVersion: true,
        status: stable ? "stable" : "aborted",
        reason: stable ? null : "its rollout was lost with the store",
        createdAt: now,
        carriedAllAt: stable ? now : null,
        stableAt: stable ? now : null,
      };
    });
  const identity = { name: route.endpoint, model: route.model, environment };
  return { ...newEndpoint(identity, now), revisions, current };
}
