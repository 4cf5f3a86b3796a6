import { isDeepStrictEqual } from "node:util";

import { versionLabel } from "../../core/version/index.ts";
import type { Override } from "../../link/override/index.ts";
import {
  compareOrder,
  type Route,
  type RouteOrder,
  type RouteRevision,
} from "../../link/route/index.ts";
import type { RouteRecord } from "./route-file.ts";

function orderText(order: RouteOrder): string {
  return `${order.generation}.${order.epoch}.${order.sequence}`;
}

/** Why a route cannot replace what is known of its endpoint, or null when it can. */
export function refusal(known: RouteRecord | null, route: Route): string | null {
  if (known === null) return null;
  if (compareOrder(route.order, known.route.order) <= 0)
    return `route ${orderText(route.order)} is not newer than ${orderText(known.route.order)}`;
  const standing = known.overrides.find((override) => !route.acknowledges.includes(override.id));
  return standing === undefined
    ? null
    : `override ${standing.id} (a rollback by ${standing.actor}) stands and is not acknowledged`;
}

/** What the endpoint is known by once the route was taken; it acknowledges every override. */
export function taken(route: Route): RouteRecord {
  return { route, overrides: [] };
}

/** What the endpoint is known by with one more override. */
export function overridden(known: RouteRecord, override: Override): RouteRecord {
  return { ...known, overrides: [...known.overrides, override] };
}

/** What workers serve: the route, its split replaced by the last override. */
export function effectiveRoute({ route, overrides }: RouteRecord): Route {
  const last = overrides.at(-1);
  if (last === undefined) return route;
  return {
    ...route,
    split: { salt: route.split.salt, arms: [{ revision: last.to, weight: 100 }] },
    // The rollout that was under watch ended with it.
    watch: null,
  };
}

/** The revisions that get traffic under a route. */
export function armsOf(route: Route): readonly RouteRevision[] {
  const arms = route.split.arms.filter((arm) => arm.weight > 0);
  return route.revisions.filter((revision) =>
    arms.some((arm) => arm.revision === revision.revision),
  );
}

/** Numbers of arms that the route does not describe. */
export function undescribedArms(route: Route): readonly number[] {
  return route.split.arms
    .filter((arm) => !route.revisions.some((revision) => revision.revision === arm.revision))
    .map((arm) => arm.revision);
}

function splitText({ split }: Route): string {
  const shares = split.arms.map(({ revision, weight }) => `${revision}:${weight}`);
  return JSON.stringify([split.salt, shares.toSorted()]);
}

/** True when both give the same revisions the same shares. */
export function sameSplit(a: Route, b: Route): boolean {
  return splitText(a) === splitText(b);
}

/** True when what is counted for the one may be counted together with what is for the other. */
export function sameCounting(a: Route, b: Route): boolean {
  return sameSplit(a, b) && isDeepStrictEqual(a.watch, b.watch);
}

/** A revision as the answers name it. */
export function describe(revision: RouteRevision): {
  version: string;
  revision: number;
  digest: RouteRevision["digest"];
} {
  return {
    version: versionLabel(revision.version),
    revision: revision.revision,
    digest: revision.digest,
  };
}

/** Whether a person's text names the revision's version: name, sequence number, `model@` before either. */
export function namesVersion(text: string, { version }: RouteRevision): boolean {
  const prefix = `${version.model}@`;
  const bare = text.startsWith(prefix) ? text.slice(prefix.length) : text;
  return bare === version.name || bare.replace(/^#/, "") === String(version.sequence);
}
