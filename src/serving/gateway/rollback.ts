import { randomUUID } from "node:crypto";

import type { z } from "zod";

import type { Trigger } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Clock } from "../../core/time/index.ts";
import type { GATEWAY_REQUESTS, GatewayRolledBack, Probed } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import { chooseTargets, leftBehind, type Chosen, type Chosens } from "./choose-target.ts";
import { describe, effectiveRoute, namesVersion, overridden } from "./endpoint-state.ts";
import type { EndpointSwitch } from "./endpoint-switch.ts";
import type { RouteRecord } from "./route-file.ts";
import type { Swapped } from "./thread-messages.ts";

/** What a person asks for. */
export type RollbackCommand = z.infer<(typeof GATEWAY_REQUESTS)["gateway.rollback"]>;

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
  command: RollbackCommand,
  options: RollbackOptions,
): Promise<GatewayRolledBack> {
  return endpoint.exclusively(async () => {
    const { record } = endpoint;
    if (record === null)
      throw new LastgoodError("endpoint.not-found", `${endpoint.endpoint} has no route yet`);
    const route = effectiveRoute(record);
    const twice = alreadyDone(record, route, { command, now: options.clock.now() });
    if (twice !== null) {
      if (twice.override !== null || command.dryRun) return twice;
      const verified = await verifiedHere(endpoint, route);
      if (verified !== null) return { ...twice, override: verified };
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
    checkCurrent(plan, command);
    checkLeaves(plan, options.leaves);
    if (command.dryRun) return rehearsal(plan);
    return takeFirstThatHolds(endpoint, { plan, command, ...options });
  });
}

/** Whether the rollback was done under the key, by either plane. */
function isOf(last: Override | NonNullable<Route["rolledBack"]>, key: string | undefined): boolean {
  if (key === undefined) return false;
  if ("kind" in last) return last.key === key;
  return last.operations.some((operation) => operation === key || operation.startsWith(`${key} `));
}

/** The answer to a command that was carried out already: a moment ago, or under the same key. */
function alreadyDone(
  record: RouteRecord,
  route: Route,
  { command, now }: { readonly command: RollbackCommand; readonly now: number },
): GatewayRolledBack | null {
  const lastRollback = record.overrides.at(-1) ?? route.rolledBack;
  if (lastRollback === null) return null;
  const isRepeat = isOf(lastRollback, command.key);
  if (!isRepeat && (command.again || command.version !== null)) return null;
  const serves = route.split.arms.filter((arm) => arm.weight > 0);
  const stands = serves.length === 1 && serves[0]?.revision === lastRollback.to;
  if (!stands || (!isRepeat && Math.abs(now - lastRollback.at) >= TWICE_MS)) return null;
  const revision = (number: number): RouteRevision | undefined =>
    route.revisions.find((each) => each.revision === number);
  const [from, to] = [revision(lastRollback.from), revision(lastRollback.to)];
  if (to === undefined) return null;
  return {
    override: asOverride(lastRollback, route),
    endpoint: route.endpoint,
    from: describe(from ?? to),
    to: describe(to),
    why: "already rolled back",
    passedOver: [],
    already: true,
  };
}

/** Either plane's last rollback in the form of an override; null while it is under way. */
function asOverride(
  last: Override | NonNullable<Route["rolledBack"]>,
  { endpoint, order }: Route,
): Override | null {
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

function checkCurrent({ route, candidates }: Plan, { ifCurrent }: RollbackCommand): void {
  const to = candidates[0]?.revision.revision;
  const current = to === undefined ? null : leftBehind(route, to);
  if (ifCurrent === null || current === null || namesVersion(ifCurrent, current)) return;
  const { version } = describe(current);
  throw new LastgoodError(
    "current.mismatch",
    `${route.endpoint} serves ${version}, not ${ifCurrent}`,
    {
      hint: "nothing was changed; look at lastgood status",
      details: { expected: ifCurrent, current: version },
    },
  );
}

function checkLeaves({ route, candidates }: Plan, leaves: number | undefined): void {
  const to = candidates[0]?.revision.revision;
  if (leaves === undefined || to === undefined || leftBehind(route, to)?.revision === leaves)
    return;
  throw new LastgoodError(
    "current.mismatch",
    `${route.endpoint} does not serve revision ${leaves} any more`,
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

interface Undertaking extends RollbackOptions {
  readonly plan: Plan;
  readonly command: RollbackCommand;
}

/** Takes the targets in turn, each once, until one is verified; otherwise returns to what was left. */
async function takeFirstThatHolds(
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
function unanswered(error: unknown): Probed {
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
