import { type Revision, type Strategy } from "../endpoint/index.ts";
import { LastgoodError } from "../errors/index.ts";
import { effectivePolicy } from "../policy/index.ts";
import { formatDuration } from "../time/index.ts";
import { contractDifferences, versionLabel } from "../version/index.ts";
import { checkWeight, firstStep, takeover } from "./advance.ts";
import { type Effect } from "./effect.ts";
import { type Deploy } from "./event.ts";
import {
  type Activity,
  type EndpointState,
  type Rollout,
  contractOf,
  revisionOf,
  stepsOf,
  waitingOperations,
} from "./state.ts";
import {
  type EventOf,
  type StateIn,
  type Step,
  doing,
  ended,
  ignored,
  judged,
  label,
  refuse,
  revisionFacts,
  settle,
  step,
} from "./step.ts";

function sameContent(revision: Revision | undefined, event: Deploy): boolean {
  return (
    revision !== undefined &&
    revision.digest === event.digest &&
    revision.version.sequence === event.version.sequence &&
    JSON.stringify(revision.runtime) === JSON.stringify(event.runtime)
  );
}

/** Why this endpoint itself bars the content: its newest revision of it failed, whatever the registry says. */
function barredHere(state: EndpointState, event: Deploy): string | null {
  const newest = state.revisions.findLast((revision) => sameContent(revision, event));
  if (newest?.status !== "failed") return null;
  return newest.reason === null ? "failed" : `failed: ${newest.reason}`;
}

function checkDeploy(state: EndpointState, event: Deploy): void {
  const name = versionLabel(event.version);
  const barred = event.barred ?? barredHere(state, event);
  if (barred !== null && !event.force)
    refuse("version.barred", `${name} is barred: ${barred}`, {
      hint: `deploy another version, or insist with --force; \`lastgood mark ${event.version.model} ${name} stable --reason …\` takes the verdict back`,
    });
  const contract = contractOf(state);
  const differences = contract === null ? [] : contractDifferences(event.signature, contract);
  if (differences.length > 0 && !event.force)
    refuse(
      "preflight.rejected",
      `${name} cannot take the requests of ${state.identity.name}: ${differences.join("; ")}`,
      {
        hint: "fix the model, deploy it to an endpoint of its own with --to, or change the contract on purpose with --force --strategy blueGreen",
        details: { differences },
      },
    );
  if (differences.length > 0 && strategyOf(event) === "canary")
    refuse(
      "signature.mismatch",
      `a canary of ${name} would need callers that speak both signatures: ${differences.join("; ")}`,
      { hint: "use --strategy blueGreen or recreate for a deliberate change of the contract" },
    );
  const current = revisionOf(state, state.current);
  if (current?.status === "stable" && !event.wayBack.proven)
    refuse("target.unproven", `there would be no proven way back: ${event.wayBack.why}`, {
      hint: "`lastgood doctor` shows what is wrong with it; no rollout starts over a stable revision without a proven target",
    });
}

function strategyOf(event: Deploy): Strategy {
  return event.strategy ?? event.policy.rollout.strategy;
}

/** Too many automatic rollbacks in too short a time: the next try waits for a person. */
function checkFlapping(state: EndpointState, event: Deploy, now: number): void {
  const { count, withinMs } = event.policy.rollback.atMost;
  const recent = state.automatic.filter((at) => now - at < withinMs);
  if (recent.length < count || event.force) return;
  refuse(
    "version.barred",
    `${state.identity.name} went back by itself ${recent.length} times within ${formatDuration(withinMs)}: a person has to look at it first`,
    { hint: "`lastgood history` says why each time; --force deploys all the same" },
  );
}

function newRollout(
  state: EndpointState,
  event: Deploy,
  from: number | null,
  now: number,
): Rollout {
  const first = from === null;
  if (event.weight !== null) checkWeight(event.weight);
  const policy = effectivePolicy(event.policy, event);
  return {
    id: event.rolloutId,
    strategy: first ? "blueGreen" : policy.rollout.strategy,
    from,
    candidate: Math.max(0, ...state.revisions.map((revision) => revision.revision)) + 1,
    policy,
    bakeMs: event.bakeMs ?? (first ? 0 : policy.bakeMs),
    byHand: event.weight !== null,
    restarts: 0,
    startedAt: now,
    actor: event.actor,
    reason: event.reason,
    pause: null,
  };
}

function start(state: EndpointState, event: Deploy, now: number): Step {
  const from = state.current;
  if (from !== null && event.weight !== null && strategyOf(event) !== "canary")
    refuse("rollout.weight", `--weight goes with --strategy canary, not ${strategyOf(event)}`);
  checkFlapping(state, event, now);
  checkDeploy(state, event);
  const rollout = newRollout(state, event, from, now);
  const before = revisionOf(state, from);
  const revision: Revision = {
    revision: rollout.candidate,
    version: event.version,
    digest: event.digest,
    runtime: event.runtime,
    signature: event.signature,
    changedVersion: before?.version.sequence !== event.version.sequence,
    status: "candidate",
    reason: null,
    createdAt: now,
    carriedAllAt: null,
    stableAt: null,
  };
  const recreate = rollout.strategy === "recreate" && from !== null;
  const activity: Activity = recreate
    ? takeover(rollout, {
        id: `${rollout.id}:0`,
        operation: event.operation,
        done: null,
        outage: null,
      })
    : { phase: "Preparing", rollout, operation: event.operation };
  const next = doing({ ...state, revisions: [...state.revisions, revision] }, activity);
  const effect: Effect = recreate
    ? { do: "switch", switchId: `${rollout.id}:0`, verify: rollout.candidate }
    : { do: "prepare", rolloutId: rollout.id, revision: rollout.candidate };
  return step(
    next,
    [effect],
    [
      {
        kind: "rollout.started",
        actor: event.actor,
        reason: event.reason,
        data: {
          rollout: rollout.id,
          strategy: rollout.strategy,
          from: revisionFacts(state, from),
          to: revisionFacts(next, rollout.candidate),
          bakeMs: rollout.bakeMs,
          forced: event.force,
          wayBack: event.wayBack.proven ? null : event.wayBack.why,
        },
      },
    ],
  );
}

/** deploy on an endpoint at rest. */
export function deployAtRest(state: StateIn<"Idle">, event: Deploy, now: number): Step {
  if (sameContent(revisionOf(state, state.current), event))
    return step(
      state,
      settle(event.operation, { ok: true, did: "unchanged", rollout: null, measured: null }),
    );
  return start(state, event, now);
}

/** deploy while a rollout is under way: the same content is no news, other content needs `replace`. */
export function deployDuring(
  state: StateIn<"Preparing"> | StateIn<"Progressing"> | StateIn<"Baking">,
  event: Deploy,
  now: number,
): Step {
  const { rollout, phase } = state.activity;
  if (sameContent(revisionOf(state, rollout.candidate), event))
    return step(
      state,
      settle(event.operation, { ok: true, did: "unchanged", rollout, measured: null }),
    );
  if (!event.replace)
    refuse(
      "rollout.in-progress",
      `${state.identity.name} is in the middle of a rollout to ${label(state, rollout.candidate)} (${phase})`,
      {
        hint: "wait for it, end it with `lastgood rollout promote`, `rollout abort` or `rollback`, or add --replace",
      },
    );
  const carriedAll = phase === "Baking" && state.current === rollout.candidate;
  const left = judged(
    state,
    rollout.candidate,
    carriedAll ? "provisional" : "aborted",
    carriedAll ? null : "replaced before it carried all traffic",
  );
  const resting = ended(left, rollout, { phase: "Aborted", reason: "replaced", now });
  const started = start(resting, event, now);
  return {
    ...started,
    effects: [
      ...waitingOperations(state.activity).flatMap((waiting) =>
        settle(waiting, {
          ok: false,
          error: new LastgoodError("rollout.superseded", "another deploy replaced this rollout"),
        }),
      ),
      ...started.effects,
    ],
    history: [
      {
        kind: "rollout.aborted",
        actor: event.actor,
        reason: "replaced",
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate), carriedAll },
      },
      ...started.history,
    ],
  };
}

/** The candidate is loaded and proven: it gets what was asked. */
export function prepared(state: StateIn<"Preparing">, event: EventOf<"prepared">): Step {
  const { rollout, operation } = state.activity;
  if (event.rolloutId !== rollout.id) return ignored(state);
  const id = `${rollout.id}:${state.changes}`;
  const switching = { id, operation, done: null, outage: null };
  const activity =
    stepsOf(rollout).length === 0 ? takeover(rollout, switching) : firstStep(rollout, switching);
  return step(doing(state, activity), [
    { do: "switch", switchId: switching.id, verify: rollout.candidate },
  ]);
}

/** The candidate did not load or its samples did not agree: it never had traffic. */
export function preparationFailed(
  state: StateIn<"Preparing">,
  event: EventOf<"preparationFailed">,
  now: number,
): Step {
  const { rollout, operation } = state.activity;
  if (event.rolloutId !== rollout.id) return ignored(state);
  const why = event.error.message;
  const next = ended(judged(state, rollout.candidate, "rejected", why), rollout, {
    phase: "Rejected",
    reason: why,
    now,
  });
  const error = new LastgoodError(
    "preflight.rejected",
    `${label(state, rollout.candidate)} did not pass preflight: ${why}`,
    { hint: event.error.hint, details: { cause: event.error.code } },
  );
  return step(
    next,
    [{ do: "publish" }, ...settle(operation, { ok: false, error })],
    [
      {
        kind: "rollout.rejected",
        actor: "lastgood",
        reason: why,
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
      },
    ],
  );
}
