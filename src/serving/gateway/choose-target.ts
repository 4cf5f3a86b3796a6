import { LastgoodError, type PassedOver } from "../../core/errors/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import { namesVersion } from "./endpoint-state.ts";

/** Why a revision cannot be taken now, or null when it is loaded and its golden samples agreed. */
export type Doubt = (revision: RouteRevision) => string | null;

/** What a gateway on its own may choose from. */
export interface Choice {
  /** What is served now. */
  readonly route: Route;
  /** Revisions that were left already and are not gone back to. */
  readonly left: ReadonlySet<number>;
  /** A version's name or sequence number; null: the first target. */
  readonly version: string | null;
  readonly doubt: Doubt;
}

/** A revision that a rollback can take at once. */
export interface Chosen {
  readonly revision: RouteRevision;
  readonly why: string;
}

/** Every revision a rollback can take, the first choice first, and what was passed over. */
export interface Chosens {
  readonly candidates: readonly Chosen[];
  readonly passedOver: readonly PassedOver[];
}

function isOnlyArm(route: Route, revision: number): boolean {
  const arms = route.split.arms.filter((arm) => arm.weight > 0);
  return arms.length === 1 && arms[0]?.revision === revision;
}

function byTargets({ route, left, doubt }: Choice): Chosens {
  const candidates: Chosen[] = [];
  const passedOver: PassedOver[] = [];
  for (const target of route.targets) {
    const revision = route.revisions.find((each) => each.revision === target.revision);
    if (revision === undefined) {
      passedOver.push({ version: target.version, why: "not loaded in the gateway" });
      continue;
    }
    if (left.has(revision.revision)) {
      passedOver.push({ version: target.version, why: "a rollback just left it" });
      continue;
    }
    if (isOnlyArm(route, revision.revision)) continue;
    const why = doubt(revision);
    if (why === null) candidates.push({ revision, why: target.why });
    else passedOver.push({ version: target.version, why });
  }
  return { candidates, passedOver: [...passedOver, ...route.passedOver] };
}

function byName({ route, doubt }: Choice, version: string): Chosens {
  const named = route.revisions.filter((revision) => namesVersion(version, revision));
  const candidates: Chosen[] = [];
  const passedOver: PassedOver[] = [];
  for (const revision of named.toSorted((a, b) => b.revision - a.revision)) {
    const label = versionLabel(revision.version);
    const why = isOnlyArm(route, revision.revision) ? "it is serving already" : doubt(revision);
    if (why === null) candidates.push({ revision, why: "named" });
    else passedOver.push({ version: label, why });
  }
  if (named.length === 0) passedOver.push({ version, why: "not loaded in the gateway" });
  return { candidates, passedOver };
}

/**
 * What a rollback by the gateway alone would take: of the route's targets (or of the named version's
 * revisions) those that are loaded and whose last golden replay agreed.
 * @throws `target.none` with every one looked at and why it was passed over.
 */
export function chooseTargets(choice: Choice): Chosens {
  const chosen = choice.version === null ? byTargets(choice) : byName(choice, choice.version);
  if (chosen.candidates.length > 0) return chosen;
  const { endpoint } = choice.route;
  throw new LastgoodError(
    "target.none",
    choice.version === null
      ? `${endpoint} has no proven version loaded to go back to`
      : `${endpoint} cannot go back to ${choice.version}`,
    {
      hint: "the gateway on its own takes only what it has loaded; with the control plane running, lastgood rollback can also load a version",
      passedOver: chosen.passedOver,
    },
  );
}

/** The revision a rollback to `to` would leave: the heaviest arm but that one; null where there is none. */
export function leftBehind(route: Route, to: number): RouteRevision | null {
  const arms = route.split.arms.filter((arm) => arm.weight > 0 && arm.revision !== to);
  const heaviest = arms.toSorted((a, b) => b.weight - a.weight)[0];
  return route.revisions.find((each) => each.revision === heaviest?.revision) ?? null;
}
