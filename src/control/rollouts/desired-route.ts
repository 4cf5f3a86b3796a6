import type { ErrorInputs } from "../../core/redaction/index.ts";
import {
  armsOf,
  contractOf,
  evidenceIdOf,
  isPinned,
  mirrorOf,
  neededRevisions,
  resumingRollout,
  revisionOf,
  rolloutOf,
  type EndpointState,
  type Rollout,
} from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import { contractDifferences, signatureSchema, versionLabel } from "../../core/version/index.ts";
import {
  DEFAULT_LIMITS,
  type Route,
  type RouteOrder,
  type RouteRevision,
  type Watch,
} from "../../link/route/index.ts";
import type { StoredManifest } from "../../storage/store/index.ts";
import { baselineId } from "./evidence-record.ts";
import { referenceOf } from "./input-reference.ts";
import { watchedRollout } from "./rollout-watch.ts";

/** Requests to a `recreate` endpoint wait this long at the most while its candidate loads, ms. */
export const MAX_HOLD_MS = 10_000;
/** Targets kept loaded once nothing is under way (DESIGN.md section 1, law 1). */
const KEEP_WARM = 1;

/** Everything a route is made of. */
export interface RouteParts {
  readonly state: EndpointState;
  readonly order: RouteOrder;
  readonly historyHead: string | null;
  readonly choice: TargetChoice;
  /** ms since 1970. */
  readonly now: number;
  /** Manifests of all revisions that `loadedRevisions` and `comparedRevisions` name. */
  readonly manifests: ReadonlyMap<number, StoredManifest>;
  /** What is kept of the inputs of requests that a candidate failed. */
  readonly errorInputs: ErrorInputs;
}

/** Revisions that the route keeps loaded: what the state needs, and the warm targets. */
export function loadedRevisions(state: EndpointState, choice: TargetChoice): readonly number[] {
  if (recreates(state)) return armsOf(state).map((arm) => arm.revision);
  const needed = neededRevisions(state);
  const warm = choice.targets
    .flatMap((target) => target.revision ?? [])
    .slice(0, KEEP_WARM)
    .filter((revision) => !needed.includes(revision));
  return [...new Set([...needed, ...warm, ...nextTargets(state)])];
}

/** Where a way back goes next should its target fail: unloaded now, it would be cold when it is needed. */
function nextTargets({ activity }: EndpointState): readonly number[] {
  if (activity.phase !== "RollingBack") return [];
  return activity.back.remaining
    .flatMap(({ warm, revision }) => (warm && revision !== null ? [revision] : []))
    .slice(0, KEEP_WARM);
}

/** Revisions that a rollout under watch compares, loaded or not: what inputs look like is theirs to say. */
export function comparedRevisions(state: EndpointState): readonly number[] {
  const rollout = watchedRollout(state) ?? resumingRollout(state);
  return rollout === null
    ? []
    : [rollout.candidate, ...(rollout.from === null ? [] : [rollout.from])];
}

/** Where the endpoint has room for one revision at a time, nothing else is kept warm. */
function recreates(state: EndpointState): boolean {
  return (rolloutOf(state) ?? state.lastRollout?.rollout)?.strategy === "recreate";
}

/** Whether one revision has to go right now before the next can come. */
function exchanging(state: EndpointState): boolean {
  const { activity } = state;
  if (!recreates(state)) return false;
  return (
    activity.phase === "RollingBack" || (activity.phase === "Baking" && activity.switching !== null)
  );
}

/** Whether a person forced the way back to this revision although its samples disagree. */
function insistedOn(state: EndpointState, revision: number): boolean {
  const { activity } = state;
  if (activity.phase !== "RollingBack") return false;
  return activity.back.to.revision === revision && activity.back.to.withoutSamples === true;
}

function routeRevision(
  state: EndpointState,
  number: number,
  manifest: StoredManifest,
): RouteRevision | null {
  const revision = revisionOf(state, number);
  if (revision === undefined) return null;
  const contract = contractOf(state) ?? revision.signature;
  const keeps = contractDifferences(revision.signature, contract).length === 0;
  return {
    revision: number,
    version: { model: state.identity.model, name: manifest.name, sequence: manifest.sequence },
    digest: revision.digest,
    runtime: revision.runtime,
    files: manifest.files,
    signature: manifest.signature,
    // A revision deployed over another signature by force: its own is the contract of its arm.
    contract: keeps ? signatureSchema.parse(contract) : manifest.signature,
    batching: manifest.batching,
    golden: insistedOn(state, number) ? [] : manifest.golden,
    limits: DEFAULT_LIMITS,
  };
}

/** Length of an interval while nothing is rolled out: what a later rollout compares with, ms. */
const BASELINE_FLUSH_MS = 10_000;
const BASELINE_DEADLINE_MS = 30_000;

/** What the split gives a revision beside another one, a fraction; null where it is all or nothing. */
function shareOf(state: EndpointState, revision: number): number | null {
  const weight = armsOf(state).find((arm) => arm.revision === revision)?.weight ?? 0;
  return weight > 0 && weight < 100 ? weight / 100 : null;
}

/** When two answers are different ones, where the policy says so. */
function disagreementOf({ policy }: Rollout): Pick<Watch, "disagreement"> {
  const metric = policy.analysis.metrics.find(({ kind }) => kind === "disagreement");
  if (metric?.kind !== "disagreement") return {};
  return { disagreement: { by: metric.by, ...metric.tolerance } };
}

/** What gateways count for the comparison that is under way, or for one to come. */
function watchOf({ state, manifests, errorInputs }: RouteParts): Watch | null {
  const { identity, current, activity } = state;
  // A reinstated rollout is under watch, and stable answers for it, from its first request on.
  const rollout = watchedRollout(state) ?? resumingRollout(state);
  if (rollout !== null && rollout.from !== null) {
    const { flushMs, deadlineMs } = rollout.policy.analysis;
    const mirror = mirrorOf(state);
    return {
      rollout: evidenceIdOf(rollout),
      candidate: rollout.candidate,
      stable: rollout.from,
      candidateShare: shareOf(state, rollout.candidate),
      flushMs,
      deadlineMs,
      mirror: mirror === null ? null : { ...mirror },
      ...disagreementOf(rollout),
      inputs:
        referenceOf(rollout, {
          candidate: manifests.get(rollout.candidate)?.reference ?? null,
          stable: manifests.get(rollout.from)?.reference ?? null,
        })?.features.map(({ input, element, bins }) => ({ input, element, bins })) ?? null,
      ...(errorInputs === "none" ? {} : { errorInputs }),
    };
  }
  if (activity.phase !== "Idle" || current === null) return null;
  return {
    rollout: baselineId(identity.name, current),
    candidate: current,
    stable: null,
    candidateShare: null,
    flushMs: BASELINE_FLUSH_MS,
    deadlineMs: BASELINE_DEADLINE_MS,
    mirror: null,
    inputs: null,
  };
}

/** What the gateway may do on its own; a pin leaves all of it to people, but for the fallback. */
function safeguardsOf(state: EndpointState, now: number): Route["safeguards"] {
  const policy = (rolloutOf(state) ?? state.lastRollout?.rollout)?.policy.rollback;
  if (policy === undefined) return { fallback: false, breaker: false };
  return { fallback: policy.fallback, breaker: policy.automatic && !isPinned(state, now) };
}

/** Labels are joined with what was predicted during a rollout: logged where its metrics ask for labels. */
function needsPredictions(state: EndpointState): boolean {
  const rollout = watchedRollout(state) ?? resumingRollout(state);
  const metrics = rollout?.policy.analysis.metrics ?? [];
  return metrics.some(({ kind }) => kind === "accuracy" || kind === "meanError");
}

/** The rollback that put the endpoint where it is, or is doing so. */
function rolledBack(state: EndpointState): Route["rolledBack"] {
  const { activity, lastRollback, current } = state;
  if (activity.phase === "RollingBack") {
    const { id, startedAt, from, to, actor, reason, kind, operation, attached } = activity.back;
    if (kind === "reinstate" || to.revision === null) return null;
    const operations = operation === null ? attached : [operation, ...attached];
    const by = { actor, reason, operations: [...operations] };
    return { id, at: startedAt, from, to: to.revision, ...by, measured: null };
  }
  if (lastRollback === null || lastRollback.kind === "reinstate") return null;
  if (activity.phase !== "Idle" || lastRollback.to !== current) return null;
  const { id, at, from, to, actor, reason, measured } = lastRollback;
  const operations = (state.applied ?? []).flatMap(({ operation, came }) =>
    came.ok && came.did === "returned" && came.record.id === id ? [operation] : [],
  );
  return { id, at, from, to, actor, reason, measured, operations };
}

/** The route that the state asks for: a pure function of what was decided and proven. */
export function desiredRoute(parts: RouteParts): Route {
  const { state, choice } = parts;
  const revisions = loadedRevisions(state, choice).flatMap((number) => {
    const manifest = parts.manifests.get(number);
    return manifest === undefined ? [] : (routeRevision(state, number, manifest) ?? []);
  });
  return {
    endpoint: state.identity.name,
    model: state.identity.model,
    environment: state.identity.environment,
    order: parts.order,
    split: {
      salt: rolloutOf(state)?.id ?? state.identity.name,
      arms: armsOf(state).map(({ revision, weight }) => ({ revision, weight })),
    },
    revisions,
    hold: exchanging(state) ? { maxMs: MAX_HOLD_MS } : null,
    watch: watchOf(parts),
    safeguards: safeguardsOf(state, parts.now),
    predictions: needsPredictions(state),
    historyHead: parts.historyHead,
    acknowledges: [...state.acknowledged],
    rolledBack: rolledBack(state),
    targets: choice.targets.map((target) => ({
      revision: target.revision,
      version: versionLabel(target.version),
      digest: target.version.digest,
      provenAt: target.provenAt,
      why: target.why,
    })),
    passedOver: choice.passedOver.map(({ version, why }) => ({ version, why })),
  };
}

/** What of a route decides whether publishing it anew changes anything. */
export function routeFingerprint(route: Route): string {
  return JSON.stringify({
    ...route,
    order: null,
    targets: route.targets.map(({ revision, version, digest, why }) => ({
      revision,
      version,
      digest,
      why,
    })),
  });
}
