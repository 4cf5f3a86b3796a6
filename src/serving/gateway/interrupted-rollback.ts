import { LastgoodError } from "../../core/errors/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { Route } from "../../link/route/index.ts";
import { byTrafficOnly, chooseTargets, leftBehind, type Chosens } from "./choose-target.ts";
import { effectiveRoute, overridden } from "./endpoint-state.ts";
import type { EndpointSwitch } from "./endpoint-switch.ts";
import type { Log } from "./log.ts";
import { takeFirstThatHolds, unanswered, type RollbackOptions } from "./rollback.ts";
import type { RouteRecord } from "./route-file.ts";

/** A new gateway loads what it finds; what takes longer is not waited for, ms. */
const LOAD_MS = 10_000;

/**
 * Law 3: a rollback that the end of the gateway before interrupted between its switch and its verification.
 * Its target serves again, and is verified as it would have been: otherwise the next target is taken, after
 * the last what was left. Nobody waits for an answer; other switches do until it is over.
 */
export function verifyInterrupted(
  endpoint: EndpointSwitch,
  options: Pick<RollbackOptions, "clock" | "onOverride"> & { readonly log: Log },
): Promise<void> {
  return endpoint.exclusively(async () => {
    const { record, trial } = endpoint;
    if (record === null || trial === null) return;
    const { log } = options;
    const why = await whyNot(endpoint, record, trial);
    if (why === null) {
      options.onOverride(await confirmed(endpoint, record, trial));
      return;
    }
    const { from, to } = trial;
    log("warn", `${endpoint.endpoint}: an interrupted rollback could not be verified`, {
      from,
      to,
      why,
    });
    await takeNext(endpoint, { ...options, before: without(record, trial), trial }).catch(
      (error: unknown) => {
        log("error", LastgoodError.from(error).message);
      },
    );
  });
}

const without = (record: RouteRecord, { id }: Override): RouteRecord => ({
  ...record,
  overrides: record.overrides.filter((each) => each.id !== id),
});

/** Why the target does not hold, or null where it does. */
async function whyNot(
  endpoint: EndpointSwitch,
  { route }: RouteRecord,
  { to }: Override,
): Promise<string | null> {
  const target = route.revisions.find(({ revision }) => revision === to);
  if (target === undefined) return "the route does not name it any more";
  await endpoint.loaded([target], LOAD_MS);
  const doubt = endpoint.doubt(target);
  if (doubt !== null) return doubt;
  const { ok, probes } = await endpoint.probe(to).catch(unanswered);
  return ok ? null : (probes.find((probe) => !probe.ok)?.why ?? "no probe answered");
}

async function confirmed(
  endpoint: EndpointSwitch,
  record: RouteRecord,
  trial: Override,
): Promise<Override> {
  // How long its switch took died with the gateway that did it.
  const measured = { ...trial.measured, verified: true, durable: true };
  const override: Override = { ...trial, measured };
  const durable = await endpoint.amend(overridden(without(record, trial), override));
  return { ...override, measured: { ...measured, durable } };
}

async function takeNext(
  endpoint: EndpointSwitch,
  undertaking: Pick<RollbackOptions, "clock" | "onOverride"> & {
    readonly before: RouteRecord;
    readonly trial: Override;
  },
): Promise<void> {
  const { before, trial, clock } = undertaking;
  const served = effectiveRoute(before);
  // A breaker leaves what has traffic, a person the candidate.
  const isCandidate = leftBehind(served, trial.to)?.revision === trial.from;
  const route = isCandidate ? served : byTrafficOnly(served);
  await endpoint.loaded(route.revisions, LOAD_MS);
  const { actor, reason, keepStatus, trigger, key } = trial;
  await takeFirstThatHolds(endpoint, {
    ...undertaking,
    plan: { ...others(endpoint, route, before, trial), record: before, route },
    command: {
      endpoint: endpoint.endpoint,
      version: null,
      ifCurrent: null,
      actor,
      reason,
      keepStatus,
      again: true,
      dryRun: false,
      ...(key === undefined ? {} : { key }),
    },
    trigger,
    startedAt: clock.monotonic(),
  });
}

/** What the rollback would have tried after the target that does not hold. */
function others(
  endpoint: EndpointSwitch,
  route: Route,
  { overrides }: RouteRecord,
  { to, isNamed }: Override,
): Chosens {
  if (isNamed === true) return { candidates: [], passedOver: [] };
  const left = new Set(overrides.map(({ from }) => from));
  try {
    const chosen = chooseTargets({
      route,
      left,
      version: null,
      doubt: (revision) => endpoint.doubt(revision),
    });
    return {
      ...chosen,
      candidates: chosen.candidates.filter(({ revision }) => revision.revision !== to),
    };
  } catch {
    return { candidates: [], passedOver: [] };
  }
}
