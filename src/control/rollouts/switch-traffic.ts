import { LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import {
  armsOf,
  rolloutOf,
  type Effect,
  type EndpointEvent,
  type EndpointState,
  type Measured,
} from "../../core/rollout/index.ts";
import type { Target, TargetChoice } from "../../core/target/index.ts";
import type { RouteDrained } from "../../link/message/index.ts";
import type { Published } from "../link/index.ts";
import type { EndpointDeps, StoredEndpoint } from "./deps.ts";
import { preflightObjection } from "./preflight.ts";
import type { RoutePublisher } from "./route-publisher.ts";

/** When the command behind a switch was read, monotonic ms, by switch id. */
export type SwitchClock = Map<string, number>;

/** What an effect works with. */
export interface Surroundings {
  readonly deps: EndpointDeps;
  readonly publisher: RoutePublisher;
  /** The newest stored state: a route is always made from it. */
  readonly stored: () => StoredEndpoint;
  readonly isStopped: () => boolean;
}

/** Requests in flight on what was left are waited for this long, ms. */
const DRAIN_TIMEOUT_MS = 10_000;
/** A candidate that is not loaded and proven by then is rejected, ms. */
const PREPARE_TIMEOUT_MS = 120_000;
/** A way forward waits this long for a gateway, ms; a way back waits for as long as it takes. */
const GATEWAY_PATIENCE_MS = 20_000;
const RETRY_MS = 100;

const PASSING: readonly ErrorCode[] = [
  "gateway.unavailable",
  "server.unreachable",
  "store.unavailable",
];

function isWayBack(state: EndpointState): boolean {
  return state.activity.phase === "RollingBack";
}

/**
 * Does `attempt` until it succeeds, through restarts of gateways: that one is not there, or goes away in
 * the middle, says nothing about a version. Null when what it is for was overtaken meanwhile or the
 * server stops.
 */
async function throughRestarts<T>(
  around: Surroundings,
  isWanted: (state: EndpointState) => boolean,
  attempt: () => Promise<T>,
): Promise<T | null> {
  const startedAt = around.deps.clock.monotonic();
  for (;;) {
    if (around.isStopped() || !isWanted(around.stored().state)) return null;
    try {
      return await attempt();
    } catch (error) {
      const refusal = LastgoodError.from(error);
      const patient = isWayBack(around.stored().state);
      const waitedMs = around.deps.clock.monotonic() - startedAt;
      if (!PASSING.includes(refusal.code) || (!patient && waitedMs > GATEWAY_PATIENCE_MS))
        throw refusal;
      await around.deps.timers.pause(RETRY_MS);
    }
  }
}

/** @throws `gateway.unavailable` where a gateway did not take it. */
async function publishToAll({ publisher, stored }: Surroundings): Promise<Published> {
  const published = await publisher.publish(stored);
  if (published.taken) return published;
  const why = published.why ?? "a gateway did not take the route";
  throw new LastgoodError("gateway.unavailable", why);
}

/** Loads the candidate beside what serves and has its digest and samples checked. */
export async function prepareCandidate(
  around: Surroundings,
  effect: Extract<Effect, { do: "prepare" }>,
): Promise<EndpointEvent | null> {
  const { checkpoint, gateways } = around.deps;
  const wanted = (state: EndpointState): boolean =>
    state.activity.phase === "Preparing" && state.activity.rollout.id === effect.rolloutId;
  const { rolloutId } = effect;
  const { state } = around.stored();
  const rollout = rolloutOf(state);
  const objection = rollout === null ? null : await preflightObjection(around.deps, state, rollout);
  if (objection !== null) return { type: "preparationFailed", rolloutId, error: objection };
  try {
    const published = await throughRestarts(around, wanted, () => publishToAll(around));
    if (published === null) return null;
    checkpoint("prepare.published");
    const endpoint = around.stored().state.identity.name;
    const ready = await gateways.whenSettled(
      { endpoint, revision: effect.revision },
      PREPARE_TIMEOUT_MS,
    );
    checkpoint("prepare.loaded");
    if (ready.state === "ready") return { type: "prepared", rolloutId };
    const error = new LastgoodError("preflight.rejected", ready.why ?? "it did not load");
    return { type: "preparationFailed", rolloutId, error };
  } catch (error) {
    return { type: "preparationFailed", rolloutId, error: LastgoodError.from(error) };
  }
}

/** `published`: each time that the route went out, until every gateway had it. */
function measure(readAt: number, published: readonly Published[], drained: RouteDrained): Measured {
  const workers = published.flatMap((each) => each.workers);
  const swapped = workers.map((worker) => worker.swappedAt);
  const admitted = workers.flatMap((worker) => worker.lastOldAdmittedAt ?? []);
  const since = (at: number): number => Math.max(0, Number((at - readAt).toFixed(3)));
  return {
    switchMs: since(Math.max(readAt, ...swapped)),
    lastOldAdmittedMs: admitted.length === 0 ? null : since(Math.max(...admitted)),
    lastOldResponseMs: drained.lastOldResponseAt === null ? null : since(drained.lastOldResponseAt),
    failedRequests: drained.failedRequests,
    verified: true,
    durable: published.at(-1)?.durable ?? false,
  };
}

/** Moves the traffic and proves that it moved: every worker, a probe from outside, nothing left behind. */
export async function switchTraffic(
  around: Surroundings,
  effect: Extract<Effect, { do: "switch" }>,
  readAt: SwitchClock,
): Promise<EndpointEvent | null> {
  const { deps } = around;
  const { switchId } = effect;
  const startedAt = readAt.get(switchId) ?? deps.clock.monotonic();
  // Done again, it still began then.
  readAt.set(switchId, startedAt);
  const objection = await unpreparedObjection(around, switchId);
  try {
    if (objection !== null) throw objection;
    const wanted = (state: EndpointState): boolean => isCurrent(state, switchId);
    const measured = await throughRestarts(around, wanted, () =>
      moveAndVerify(around, effect, startedAt, wanted),
    );
    return measured === null ? null : { type: "switched", switchId, measured };
  } catch (error) {
    const failure = LastgoodError.from(error);
    const { state } = around.stored();
    const choice = await around.publisher.chooseNow(state);
    const outage = isCurrent(state, switchId) ? await outageOf(deps, state, choice) : null;
    return { type: "switchFailed", switchId, error: failure, choice, outage };
  }
}

/** One round of a switch, with the gateways that are connected at its beginning. */
interface Round {
  readonly published: Published;
  /** Why the verification failed, or what was drained after it. */
  readonly came: { readonly failed: string } | { readonly drained: RouteDrained };
}

/**
 * Round after round until no gateway came meanwhile: one that did may serve what is left, and has answered no
 * probe. Null where the switch was overtaken.
 * @throws `verification.failed`; `gateway.unavailable` and others where a gateway went away meanwhile.
 */
async function moveAndVerify(
  around: Surroundings,
  effect: Extract<Effect, { do: "switch" }>,
  startedAt: number,
  isWanted: (state: EndpointState) => boolean,
): Promise<Measured | null> {
  const { deps, stored, isStopped } = around;
  const published: Published[] = [];
  while (!isStopped() && isWanted(stored().state)) {
    const asked = incarnations(deps);
    const round = await moveOnce(around, effect, startedAt);
    published.push(round.published);
    const { came } = round;
    if ([...incarnations(deps)].some((each) => !asked.has(each))) {
      await deps.timers.pause(RETRY_MS);
    } else if ("drained" in came) {
      return measure(startedAt, published, came.drained);
    } else {
      throw new LastgoodError(
        "verification.failed",
        `revision ${effect.verify} did not answer as it should through the public port: ${came.failed}`,
      );
    }
  }
  return null;
}

/** Of the gateways that are connected: one that was started anew has another. */
function incarnations({ gateways }: Pick<EndpointDeps, "gateways">): ReadonlySet<string> {
  return new Set(gateways.connected().map(({ incarnation }) => incarnation));
}

/** @throws `gateway.unavailable` and others where a gateway went away meanwhile. */
async function moveOnce(
  around: Surroundings,
  { verify }: Extract<Effect, { do: "switch" }>,
  startedAt: number,
): Promise<Round> {
  const { deps } = around;
  const published = await publishToAll(around);
  deps.checkpoint("switch.published");
  const { state } = around.stored();
  const endpoint = state.identity.name;
  // Mirrored to, or waiting for a person, it has no share of the traffic: it is asked at its own address.
  const apart = !armsOf(state).some(({ revision }) => revision === verify);
  const failed =
    (apart ? await loadFailure(deps, endpoint, verify) : null) ??
    (await probeFailure(deps, { endpoint, revision: verify, apart }));
  if (failed !== null) return { published, came: { failed } };
  deps.checkpoint("switch.probed");
  const drained = await deps.gateways.drained({
    endpoint,
    order: published.order,
    since: startedAt,
    timeoutMs: DRAIN_TIMEOUT_MS,
  });
  deps.checkpoint("switch.drained");
  return { published, came: { drained } };
}

/** What takes the place of what serves without being prepared beside it passes preflight right before. */
async function unpreparedObjection(
  { deps, stored }: Surroundings,
  switchId: string,
): Promise<LastgoodError | null> {
  const { state } = stored();
  const { activity } = state;
  if (activity.phase !== "Baking" || activity.rollout.strategy !== "recreate") return null;
  return isCurrent(state, switchId) ? preflightObjection(deps, state, activity.rollout) : null;
}

/**
 * Waits until a revision without a share of the traffic is loaded: a gateway takes a route once its arms
 * are. Why it does not load, or null.
 */
async function loadFailure(
  { gateways }: Pick<EndpointDeps, "gateways">,
  endpoint: EndpointState["identity"]["name"],
  revision: number,
): Promise<string | null> {
  const { state, why } = await gateways.whenSettled({ endpoint, revision }, PREPARE_TIMEOUT_MS);
  return state === "ready" ? null : (why ?? "it did not load");
}

/** Why a probe was not answered as it should be, or null. */
async function probeFailure(
  { gateways }: Pick<EndpointDeps, "gateways">,
  request: Parameters<EndpointDeps["gateways"]["probe"]>[0],
): Promise<string | null> {
  const probed = await gateways.probe(request);
  if (probed.ok) return null;
  return probed.probes.find((probe) => !probe.ok)?.why ?? "no probe was answered";
}

/**
 * A way forward failed its verification: why what served before fails it as well, or null. Only where
 * it is loaded beside the candidate, and trusted: a way back could go there.
 */
async function outageOf(
  deps: Pick<EndpointDeps, "gateways">,
  { identity, activity }: EndpointState,
  choice: TargetChoice,
): Promise<string | null> {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return null;
  const { from, strategy } = activity.rollout;
  const isTrusted = choice.targets.some(({ revision }) => revision === from);
  if (from === null || strategy === "recreate" || !isTrusted) return null;
  return askApart(deps, identity.name, from);
}

/** Why a revision does not answer a probe of its own, or null where it does. */
async function askApart(
  deps: Pick<EndpointDeps, "gateways">,
  endpoint: string,
  revision: number,
): Promise<string | null> {
  try {
    return await probeFailure(deps, { endpoint, revision, apart: true });
  } catch (error) {
    return LastgoodError.from(error).message;
  }
}

/**
 * Where a way back that stays wanted would go now. A target that is loaded has to answer first: trying
 * it moves traffic. Without one the choice is empty.
 */
export async function chooseAgain(
  { deps, publisher }: Pick<Surroundings, "publisher"> & { deps: Pick<EndpointDeps, "gateways"> },
  state: EndpointState,
): Promise<TargetChoice> {
  const choice = await publisher.chooseNow(state);
  const targets: Target[] = [];
  for (const target of choice.targets) {
    const isSilent =
      target.warm &&
      target.revision !== null &&
      (await askApart(deps, state.identity.name, target.revision)) !== null;
    if (!isSilent) targets.push(target);
  }
  return { ...choice, targets };
}

function isCurrent(state: EndpointState, switchId: string): boolean {
  const { activity } = state;
  switch (activity.phase) {
    case "Idle":
    case "Preparing":
      return false;
    case "Progressing":
    case "Baking":
      return activity.switching?.id === switchId;
    case "RollingBack":
      return activity.back.switchId === switchId;
  }
}
