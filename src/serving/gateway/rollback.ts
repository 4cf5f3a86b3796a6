import { randomUUID } from "node:crypto";

import type { Trigger } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Clock } from "../../core/time/index.ts";
import type { GatewayRolledBack, Probed, RollbackRequest } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import {
  byTrafficOnly,
  chooseTargets,
  leftBehind,
  onlyServing,
  type Chosen,
  type Chosens,
} from "./choose-target.ts";
import { describe, effectiveRoute, namesVersion, overridden } from "./endpoint-state.ts";
import type { EndpointSwitch } from "./endpoint-switch.ts";
import type { RouteRecord } from "./route-file.ts";
import type { Swapped } from "./thread-messages.ts";

/** How a rollback is carried out. */
export interface RollbackOptions {
  /** CLOCK_MONOTONIC when the command was read, ms. */
  readonly startedAt: number;
  readonly onOverride: (override: Override) => void;
  readonly clock: Clock;
  /** What started it. @default "manual" */
  readonly trigger?: Trigger;
  /** Only this revision is left: where another serves by now, nothing is done. */
  readonly leaves?: number;
}

/** Typed twice within this is once, ms. */
const TWICE_MS = 10 * 60_000;
/** A rollback waits this long for the last answers of what it left, ms. */
const DRAIN_MS = 10_000;

interface Plan extends Chosens {
  readonly record: RouteRecord;
  readonly route: Route;
}

/**
 * Law 7: a rollback by the gateway alone. Takes the first target that is loaded and proven, switches
 * every worker, remembers it as an override, verifies it through the public port.
 * @throws `target.none`, `current.mismatch`, `rollback.no-target-left`, `endpoint.not-found`.
 */
export function rollBack(
  endpoint: EndpointSwitch,
  command: RollbackRequest,
  options: RollbackOptions,
): Promise<GatewayRolledBack> {
  return endpoint.exclusively(async () => {
    const { record } = endpoint;
    if (record === null)
      throw new LastgoodError("endpoint.not-found", `${endpoint.endpoint} has no route yet`);
    const served = effectiveRoute(record);
    const route = options.leaves === undefined ? served : byTrafficOnly(served);
    const done = alreadyDone(record, route, { command, now: options.clock.now() });
    if (done !== null) {
      checkCurrent(route.endpoint, command, done.left);
      if (!done.isUnderWay || command.dryRun) return done.answer;
      const verified = await verifiedHere(endpoint, route);
      if (verified !== null) return { ...done.answer, override: verified };
    }
    const left = new Set(record.overrides.map((override) => override.from));
    const { version } = command;
    const chosen = chooseTargets({
      route,
      left,
      version,
      doubt: (revision) => endpoint.doubt(revision),
    });
    const plan = { ...chosen, record, route };
    checkCurrent(route.endpoint, command, leftBy(plan));
    checkLeaves(plan, options.leaves);
    if (command.dryRun) return rehearsal(plan);
    return takeFirstThatHolds(endpoint, { plan, command, ...options });
  });
}

/** A command that finds everything as it asks for. */
interface Done {
  readonly answer: GatewayRolledBack;
  /** What it would leave, and what the rollback that did it left. */
  readonly left: readonly RouteRevision[];
  /** The control plane's rollback that did it was not verified yet. */
  readonly isUnderWay: boolean;
}

/** Whether the rollback was done under the key, by either plane. */
function isOf(last: LastRollback, key: string | undefined): boolean {
  if (key === undefined) return false;
  if ("kind" in last) return last.key === key;
  return last.operations.some((operation) => operation === key || operation.startsWith(`${key} `));
}

/** Carried out already, a moment ago or under the same key, or the named version is what serves. */
function alreadyDone(
  record: RouteRecord,
  route: Route,
  { command, now }: { readonly command: RollbackRequest; readonly now: number },
): Done | null {
  const serving = onlyServing(route);
  if (serving === null) return null;
  const last = record.overrides.at(-1) ?? route.rolledBack;
  const stands = last?.to === serving.revision ? last : null;
  if (stands !== null && isOf(stands, command.key)) return doneBy(stands, route, serving);
  if (command.version === null) {
    const isTwice = stands !== null && !command.again && Math.abs(now - stands.at) < TWICE_MS;
    return isTwice ? doneBy(stands, route, serving) : null;
  }
  if (!namesVersion(command.version, serving)) return null;
  if (stands !== null) return doneBy(stands, route, serving);
  const to = describe(serving);
  const why = `${to.version} is what serves already; nothing was done`;
  return {
    answer: {
      override: null,
      endpoint: route.endpoint,
      from: to,
      to,
      why,
      passedOver: [],
      already: true,
    },
    left: [serving],
    isUnderWay: false,
  };
}

type LastRollback = Override | NonNullable<Route["rolledBack"]>;

function doneBy(last: LastRollback, route: Route, serving: RouteRevision): Done {
  const from = route.revisions.find((each) => each.revision === last.from);
  const override = asOverride(last, route);
  return {
    answer: {
      override,
      endpoint: route.endpoint,
      from: describe(from ?? serving),
      to: describe(serving),
      why: "already rolled back",
      passedOver: [],
      already: true,
    },
    left: from === undefined ? [serving] : [serving, from],
    isUnderWay: override === null,
  };
}

/** Either plane's last rollback in the form of an override; null while it is under way. */
function asOverride(last: LastRollback, { endpoint, order }: Route): Override | null {
  if ("kind" in last) return last;
  const { id, from, to, at, actor, reason, measured } = last;
  if (measured === null) return null;
  return {
    id,
    from,
    to,
    at,
    actor,
    reason,
    endpoint,
    kind: "rollback",
    over: order,
    keepStatus: false,
    trigger: "manual",
    measured,
  };
}

/** The control plane's rollback that is under way: whoever asks for it here gets it verified here, or null. */
async function verifiedHere(endpoint: EndpointSwitch, route: Route): Promise<Override | null> {
  const { rolledBack } = route;
  if (rolledBack === null) return null;
  const { ok } = await endpoint.probe(rolledBack.to).catch(unanswered);
  if (!ok) return null;
  const measured = {
    switchMs: 0,
    lastOldAdmittedMs: null,
    lastOldResponseMs: null,
    failedRequests: 0,
    verified: true,
    durable: endpoint.isDurable,
  };
  return asOverride({ ...rolledBack, measured }, route);
}

/** What the plan would leave; empty where there is nothing to leave. */
function leftBy({ route, candidates }: Plan): readonly RouteRevision[] {
  const to = candidates[0]?.revision.revision;
  const left = to === undefined ? null : leftBehind(route, to);
  return left === null ? [] : [left];
}

/** @throws `current.mismatch` where the version that the command is for is none of those left. */
function checkCurrent(
  endpoint: string,
  { ifCurrent }: RollbackRequest,
  left: readonly RouteRevision[],
): void {
  const first = left[0];
  if (ifCurrent === null || first === undefined) return;
  if (left.some((revision) => namesVersion(ifCurrent, revision))) return;
  const { version } = describe(first);
  throw new LastgoodError(
    "current.mismatch",
    `a rollback of ${endpoint} would leave ${version}, not ${ifCurrent}: nothing was done`,
    {
      hint: "`lastgood status` shows what serves; while a version is rolled out, a rollback leaves that one",
      details: { expected: ifCurrent, current: version },
    },
  );
}

function checkLeaves(plan: Plan, leaves: number | undefined): void {
  const [left] = leftBy(plan);
  if (leaves === undefined || plan.candidates.length === 0 || left?.revision === leaves) return;
  throw new LastgoodError(
    "current.mismatch",
    `${plan.route.endpoint} does not serve revision ${leaves} any more`,
  );
}

function rehearsal({ route, candidates, passedOver }: Plan): GatewayRolledBack {
  const first = candidates[0];
  const from = first === undefined ? null : leftBehind(route, first.revision.revision);
  if (first === undefined || from === null) throw nothingToLeave(route);
  return {
    override: null,
    endpoint: route.endpoint,
    from: describe(from),
    to: describe(first.revision),
    why: first.why,
    passedOver: [...passedOver],
    already: false,
  };
}

function nothingToLeave({ endpoint }: Route): LastgoodError {
  return new LastgoodError("target.none", `${endpoint} serves nothing that could be left`);
}

/** A rollback that has been decided. */
export interface Undertaking extends RollbackOptions {
  readonly plan: Plan;
  readonly command: RollbackRequest;
}

/** Takes the targets in turn, each once, until one is verified; otherwise returns to what was left. */
export async function takeFirstThatHolds(
  endpoint: EndpointSwitch,
  undertaking: Undertaking,
): Promise<GatewayRolledBack> {
  const { plan } = undertaking;
  const passedOver = [...plan.passedOver];
  for (const candidate of plan.candidates) {
    const from = leftBehind(plan.route, candidate.revision.revision);
    if (from === null) continue;
    const attempt = await takeTarget(endpoint, { ...undertaking, from, candidate });
    if (attempt.probed.ok) {
      return {
        override: attempt.override,
        endpoint: endpoint.endpoint,
        from: describe(from),
        to: describe(candidate.revision),
        why: candidate.why,
        passedOver,
        already: false,
      };
    }
    const why = attempt.probed.probes.find((probe) => !probe.ok)?.why ?? "no probe answered";
    passedOver.push({ version: describe(candidate.revision).version, why });
  }
  await endpoint.swap(plan.record);
  throw new LastgoodError(
    "rollback.no-target-left",
    `${endpoint.endpoint} is back on what it served: no target could be verified`,
    { passedOver },
  );
}

async function takeTarget(
  endpoint: EndpointSwitch,
  undertaking: Undertaking & { readonly from: RouteRevision; readonly candidate: Chosen },
): Promise<{ readonly override: Override; readonly probed: Probed }> {
  const { plan, command, startedAt, clock, from, candidate } = undertaking;
  const planned: Override = {
    id: randomUUID(),
    endpoint: endpoint.endpoint,
    kind: "rollback",
    over: plan.record.route.order,
    from: from.revision,
    to: candidate.revision.revision,
    at: clock.now(),
    actor: command.actor,
    reason: command.reason,
    keepStatus: command.keepStatus,
    trigger: undertaking.trigger ?? "manual",
    ...(command.key === undefined ? {} : { key: command.key }),
    ...(command.version === null ? {} : { isNamed: true }),
    measured: {
      switchMs: 0,
      lastOldAdmittedMs: null,
      lastOldResponseMs: null,
      failedRequests: 0,
      verified: false,
      durable: false,
    },
  };
  const { workers, durable } = await endpoint.swap(overridden(plan.record, planned), {
    trial: planned.id,
  });
  const probed = await endpoint.probe(planned.to).catch(unanswered);
  if (!probed.ok) return { override: planned, probed };
  const drained = await endpoint.drained(startedAt, DRAIN_MS);
  const override: Override = {
    ...planned,
    measured: {
      ...switchTimes(workers, startedAt),
      lastOldResponseMs: since(startedAt, drained.lastOldResponseAt),
      failedRequests: drained.failedRequests,
      verified: true,
      durable,
    },
  };
  const isDurable = await endpoint.amend(overridden(plan.record, override));
  const final = { ...override, measured: { ...override.measured, durable: isDurable } };
  undertaking.onOverride(final);
  return { override: final, probed };
}

/** A probe that went wrong by itself was not answered either. */
export function unanswered(error: unknown): Probed {
  const why = LastgoodError.from(error).message;
  const probe = { protocol: "gateway", ok: false, status: null, answeredBy: null, ms: 0, why };
  return { ok: false, probes: [probe] };
}

function switchTimes(
  workers: readonly Swapped[],
  startedAt: number,
): { readonly switchMs: number; readonly lastOldAdmittedMs: number | null } {
  const admitted = workers.flatMap(({ lastOldAdmittedAt: at }) => (at === null ? [] : [at]));
  return {
    switchMs: Math.max(0, ...workers.map((worker) => worker.swappedAt - startedAt)),
    lastOldAdmittedMs: since(startedAt, admitted.length === 0 ? null : Math.max(...admitted)),
  };
}

/** ms after the start; an event before it is at 0. */
function since(startedAt: number, at: number | null): number | null {
  return at === null ? null : Math.max(0, at - startedAt);
}
