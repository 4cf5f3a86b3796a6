import { randomUUID } from "node:crypto";

import type { ReinstateBody, RollbackBody, RolledBack } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  leavingRevision,
  revisionOf,
  transition,
  type Asked,
  type EndpointEvent,
  type EndpointState,
  type Reinstate,
} from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import { rollbackRequest } from "../../link/message/index.ts";
import { expectedSeconds } from "./cold-start.ts";
import type { Endpoints, RunningEndpoint } from "./endpoints.ts";
import { checkLeft, namedTarget, namedVersion } from "./named-version.ts";
import { gatewayAnswer, rehearsedAnswer, rollbackAnswer, served } from "./rollback-answer.ts";
import { versionFacts } from "./version-catalog.ts";

interface Chosen {
  readonly choice: TargetChoice;
  readonly named: boolean;
}

/** What the command asks to go back to, proven now. */
async function choose(
  endpoints: Endpoints,
  state: EndpointState,
  body: RollbackBody,
): Promise<Chosen> {
  const { force, actor } = body;
  if (body.toRevision !== null) {
    const revision = revisionOf(state, body.toRevision);
    if (revision === undefined)
      throw new LastgoodError(
        "revision.not-found",
        `${state.identity.name} has no revision ${body.toRevision}`,
        {
          hint: `it has 1 to ${state.revisions.length}: \`lastgood status ${state.identity.name}\` lists them`,
        },
      );
    const version = await endpoints.deps.select(
      state.identity.model,
      String(revision.version.sequence),
    );
    const options = { force, actor, revision: revision.revision };
    return { choice: await namedTarget(endpoints, state, version, options), named: true };
  }
  if (body.version === null)
    return { choice: await endpoints.chooser.chooseForSwitch(state), named: false };
  const version = await namedVersion(endpoints, state, body.version);
  const options = { force, actor, revision: null };
  return { choice: await namedTarget(endpoints, state, version, options), named: true };
}

function rollbackEvent(body: RollbackBody, chosen: Chosen, operation: string): EndpointEvent {
  return {
    type: "rollback",
    operation,
    actor: body.actor,
    reason: body.reason,
    rollbackId: randomUUID(),
    trigger: body.trigger,
    choice: chosen.choice,
    named: chosen.named,
    again: body.again,
    keepStatus: body.keepStatus,
  };
}

/** Where the command is to go, as seen from what serves. */
async function towards(
  endpoints: Endpoints,
  state: EndpointState,
  { version, toRevision, again }: RollbackBody,
): Promise<Asked> {
  if (version === null && toRevision === null) return { toward: "target", again };
  const current = revisionOf(state, state.current);
  const meansCurrent =
    toRevision === null
      ? (await namedVersion(endpoints, state, version ?? "")).sequence === current?.version.sequence
      : toRevision === current?.revision;
  return { toward: meansCurrent ? "current" : "elsewhere", again };
}

/** @throws `current.mismatch`: see `checkLeft`. */
async function checkGuard(
  endpoints: Endpoints,
  state: EndpointState,
  body: RollbackBody,
): Promise<void> {
  const { ifCurrent } = body;
  if (ifCurrent === null) return;
  await checkLeft(endpoints, state, ifCurrent, await towards(endpoints, state, body));
}

/** Already there: the named version is what serves, and nothing is under way. */
async function alreadyServing(
  endpoints: Endpoints,
  running: RunningEndpoint,
  body: RollbackBody,
): Promise<RolledBack | null> {
  const { state, historyHead } = running.controller;
  const current = revisionOf(state, state.current);
  if (state.activity.phase !== "Idle" || current === undefined) return null;
  if ((await towards(endpoints, state, body)).toward !== "current") return null;
  await checkGuard(endpoints, state, body);
  const note = `${versionLabel(current.version)} is what serves already; nothing was done`;
  const last = state.lastRollback;
  if (last !== null && last.to === state.current)
    return rollbackAnswer(state, last, { already: true, historyHead, notes: [note] });
  return rehearsedAnswer(state, body, {
    from: served(state, current.revision),
    to: served(state, current.revision),
    why: note,
    warm: true,
    expectedSeconds: 0,
    passedOver: [],
    historyHead,
    already: true,
  });
}

/** What a rollback would do, refusals included, without doing it. */
async function rehearse(
  endpoints: Endpoints,
  running: RunningEndpoint,
  body: RollbackBody,
): Promise<RolledBack> {
  const { state, historyHead } = running.controller;
  await checkGuard(endpoints, state, body);
  const chosen = await choose(endpoints, state, body);
  const event = rollbackEvent(body, chosen, "dry run");
  const after = transition(state, event, endpoints.deps.clock.now());
  const settled = after.effects.find((effect) => effect.do === "settle");
  if (settled?.outcome.ok === true && settled.outcome.did === "returned")
    return {
      ...rollbackAnswer(state, settled.outcome.record, { already: true, historyHead }),
      dryRun: true,
    };
  const target = chosen.choice.targets[0];
  const leaving = leavingRevision(state);
  if (target === undefined || leaving === undefined)
    throw new LastgoodError("internal", "a rollback without a target was not refused");
  return rehearsedAnswer(state, body, {
    from: served(state, leaving.revision),
    to: {
      version: versionLabel(target.version),
      revision: target.revision,
      digest: target.version.digest,
    },
    why: target.why,
    warm: target.warm,
    expectedSeconds: await expectedSeconds(endpoints, state, target),
    passedOver: chosen.choice.passedOver.map(({ version, why }) => ({ version, why })),
    historyHead,
    already: false,
  });
}

/**
 * What a person names, as a gateway knows versions. Where the store cannot even be read, as spelled.
 * @throws what `namedVersion` does of a version that is not there.
 */
async function nameAtGateway(
  endpoints: Endpoints,
  state: EndpointState,
  text: string | null,
): Promise<string | null> {
  if (text === null) return null;
  try {
    const { model, name, sequence } = await namedVersion(endpoints, state, text);
    return `${model}@${name ?? sequence}`;
  } catch (error) {
    const refusal = LastgoodError.from(error);
    if (refusal.code !== "store.unavailable") throw refusal;
    return text;
  }
}

/** The store does not take the intent: the gateways go back by themselves, and tell it later. */
async function throughGateway(
  endpoints: Endpoints,
  state: EndpointState,
  body: RollbackBody,
  how: { readonly operation: string; readonly cause: LastgoodError },
): Promise<RolledBack> {
  const request = rollbackRequest(
    {
      ...body,
      endpoint: state.identity.name,
      version: await nameAtGateway(endpoints, state, body.version),
      ifCurrent: await nameAtGateway(endpoints, state, body.ifCurrent),
    },
    `a store that takes writes (${how.cause.message})`,
  );
  const key = how.operation.split(" ", 1)[0];
  const did = await endpoints.deps.gateways.rollback({ ...request, key });
  return gatewayAnswer(did, body, how.cause.message);
}

/** What is answered without a command to the endpoint: a dry run, or that it is there already. */
async function withoutCommand(
  endpoints: Endpoints,
  running: RunningEndpoint,
  body: RollbackBody,
): Promise<RolledBack | null> {
  const there = await alreadyServing(endpoints, running, body);
  if (there !== null) return there;
  return body.dryRun ? rehearse(endpoints, running, body) : null;
}

/**
 * Sends an endpoint back, and reports only what was verified (law 3). The same operation again goes
 * back no further.
 */
export async function rollback(
  endpoints: Endpoints,
  body: RollbackBody,
  operation: string,
): Promise<RolledBack> {
  const readAt = endpoints.deps.clock.monotonic();
  const running = endpoints.find(body.endpoint);
  const { controller } = running;
  try {
    // Looked at again, what a repeated command has done itself would be held against it.
    const answered = controller.hasTaken(operation)
      ? null
      : await withoutCommand(endpoints, running, body);
    if (answered !== null) return answered;
    const outcome = await controller.command(
      async () => {
        const { state } = controller;
        await checkGuard(endpoints, state, body);
        return rollbackEvent(body, await choose(endpoints, state, body), operation);
      },
      { operation, readAt },
    );
    if (!outcome.ok) throw outcome.error;
    if (outcome.did !== "returned")
      throw new LastgoodError("internal", `rollback was answered with ${outcome.did}`);
    const { state, historyHead } = controller;
    return rollbackAnswer(state, outcome.record, { already: outcome.already, historyHead });
  } catch (error) {
    const refusal = LastgoodError.from(error);
    if (refusal.code !== "store.unavailable") throw refusal;
    return throughGateway(endpoints, controller.state, body, { operation, cause: refusal });
  }
}

async function reinstateEvent(
  endpoints: Endpoints,
  state: EndpointState,
  body: ReinstateBody,
  operation: string,
): Promise<Reinstate> {
  const left = revisionOf(state, state.lastRollback?.from ?? null);
  const event = {
    type: "reinstate" as const,
    operation,
    actor: body.actor,
    reason: body.reason,
    rollbackId: randomUUID(),
    rollback: body.rollback,
  };
  if (left === undefined) return { ...event, target: { unproven: "it is unknown" } };
  const version = await endpoints.deps.select(state.identity.model, String(left.version.sequence));
  const facts = await endpoints.chooser.factsAbout(state, version, 0);
  const proof = facts?.proof(left.digest) ?? { holds: false, why: "it could not be looked at" };
  if (!proof.holds) return { ...event, target: { unproven: proof.why } };
  return {
    ...event,
    target: {
      revision: left.revision,
      version: versionFacts(version),
      warm: proof.warm,
      provenAt: proof.provenAt,
      why: `the rollback is taken back by ${body.actor}`,
    },
  };
}

/** Takes the last rollback back: version, statuses and what was under way, as one. */
export async function reinstate(
  endpoints: Endpoints,
  body: ReinstateBody,
  operation: string,
): Promise<RolledBack> {
  const readAt = endpoints.deps.clock.monotonic();
  const { controller } = endpoints.find(body.endpoint);
  if (body.dryRun) {
    const { state, historyHead } = controller;
    const event = await reinstateEvent(endpoints, state, body, "dry run");
    transition(state, event, endpoints.deps.clock.now());
    const last = state.lastRollback;
    if (last === null || "unproven" in event.target)
      throw new LastgoodError("internal", "a reinstate without a rollback was not refused");
    return rehearsedAnswer(state, body, {
      from: served(state, last.to),
      to: served(state, last.from),
      why: event.target.why,
      warm: event.target.warm,
      expectedSeconds: await expectedSeconds(endpoints, state, event.target),
      passedOver: [],
      historyHead,
      already: false,
    });
  }
  const outcome = await controller.command(
    () => reinstateEvent(endpoints, controller.state, body, operation),
    { operation, readAt },
  );
  if (!outcome.ok) throw outcome.error;
  if (outcome.did !== "returned")
    throw new LastgoodError("internal", `reinstate was answered with ${outcome.did}`);
  const { state, historyHead } = controller;
  return rollbackAnswer(state, outcome.record, { already: false, historyHead, notes: [] });
}
