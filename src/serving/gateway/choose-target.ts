import { LastgoodError, type PassedOver } from "../../core/errors/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import { armsOf, namesVersion } from "./endpoint-state.ts";

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

const NOT_LOADED = "not loaded in the gateway";
const JUST_LEFT = "a rollback just left it";
const SERVING = "it is serving already";

/** The candidate that is under watch: a rollback leaves it whether it has traffic or not. */
function candidateOf({ watch, revisions }: Route): RouteRevision | null {
  if (watch === null || watch.stable === null) return null;
  return revisions.find((each) => each.revision === watch.candidate) ?? null;
}

/** The only arm, which a rollback cannot go to because nothing would be left by it; else null. */
export function onlyServing(route: Route): RouteRevision | null {
  const [only, ...others] = armsOf(route);
  if (only === undefined || others.length > 0) return null;
  return leftBehind(route, only.revision) === null ? only : null;
}

function isServingAlone(route: Route, revision: number): boolean {
  return onlyServing(route)?.revision === revision;
}

function byTargets({ route, left, doubt }: Choice): Chosens {
  const candidates: Chosen[] = [];
  const passedOver: PassedOver[] = [];
  for (const target of route.targets) {
    const revision = route.revisions.find((each) => each.revision === target.revision);
    if (revision === undefined) {
      passedOver.push({ version: target.version, why: NOT_LOADED });
      continue;
    }
    if (left.has(revision.revision)) {
      passedOver.push({ version: target.version, why: JUST_LEFT });
      continue;
    }
    if (isServingAlone(route, revision.revision)) continue;
    const why = doubt(revision);
    if (why === null) candidates.push({ revision, why: target.why });
    else passedOver.push({ version: target.version, why });
  }
  return { candidates, passedOver: [...passedOver, ...route.passedOver] };
}

/** Whether a person's text means what a target or a version passed over is labelled. */
function meansLabel(text: string, label: string, { model }: Route): boolean {
  const bare = text.startsWith(`${model}@`) ? text.slice(model.length + 1) : text;
  return bare === label || `#${bare}` === label;
}

/** Naming a version proves nothing of it: of the targets only, as without a name. */
function byName(choice: Choice, version: string): Chosens {
  const { route, left, doubt } = choice;
  const candidates: Chosen[] = [];
  const passedOver: PassedOver[] = [];
  for (const target of route.targets) {
    const revision = route.revisions.find((each) => each.revision === target.revision);
    if (revision === undefined || !namesVersion(version, revision)) continue;
    const why = left.has(revision.revision)
      ? JUST_LEFT
      : isServingAlone(route, revision.revision)
        ? SERVING
        : doubt(revision);
    if (why === null) candidates.push({ revision, why: "named" });
    else passedOver.push({ version: versionLabel(revision.version), why });
  }
  if (candidates.length === 0 && passedOver.length === 0)
    passedOver.push(noTarget(choice, version));
  return { candidates, passedOver };
}

/** Why a version that is no target of the route cannot be gone to. */
function noTarget({ route, left }: Choice, version: string): PassedOver {
  const known = route.passedOver.find((each) => meansLabel(version, each.version, route));
  const loaded = route.revisions.findLast((revision) => namesVersion(version, revision));
  if (loaded === undefined) return known ?? { version, why: NOT_LOADED };
  const { revision } = loaded;
  const because = (why: string): PassedOver => ({ version: versionLabel(loaded.version), why });
  if (left.has(revision)) return because(JUST_LEFT);
  if (isServingAlone(route, revision)) return because(SERVING);
  // Told before what the control plane says of it: that it is what a rollback would leave.
  if (candidateOf(route)?.revision === revision || armsOf(route).includes(loaded))
    return because("it is being rolled out, and is not proven yet");
  return known ?? because("it is loaded, but is no proven target");
}

/** What to type where a named version is refused. */
function hintFor(choice: Choice): string {
  const { endpoint } = choice.route;
  if (choice.version === null)
    return "the gateway on its own takes only what it has loaded; with the control plane running, lastgood rollback can also load a version";
  const first = byTargets(choice).candidates[0];
  const needs =
    "for any other version the control plane must run: it can load and prove one, or take it with --force";
  if (first === undefined) return needs;
  return `\`lastgood rollback ${endpoint}\` without --version goes to ${versionLabel(first.revision.version)}; ${needs}`;
}

/**
 * What a rollback by the gateway alone would take: of the route's targets (of those that are the named
 * version) the ones that are loaded, were not just left, and whose last golden replay agreed.
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
      hint: hintFor(choice),
      passedOver: chosen.passedOver,
    },
  );
}

/**
 * The revision a rollback to `to` would leave: the candidate of a rollout, else the heaviest arm but
 * `to`; null where there is none.
 */
export function leftBehind(route: Route, to: number): RouteRevision | null {
  const candidate = candidateOf(route);
  if (candidate !== null && candidate.revision !== to) return candidate;
  const arms = route.split.arms.filter((arm) => arm.weight > 0 && arm.revision !== to);
  const heaviest = arms.toSorted((a, b) => b.weight - a.weight)[0];
  return route.revisions.find((each) => each.revision === heaviest?.revision) ?? null;
}

/** The route as the breaker sees it, who acts on traffic: a candidate that has none is not there. */
export function byTrafficOnly(route: Route): Route {
  const candidate = candidateOf(route)?.revision;
  const hasTraffic = armsOf(route).some((arm) => arm.revision === candidate);
  return hasTraffic ? route : { ...route, watch: null };
}
