import { randomUUID } from "node:crypto";

import type { RolloutAnswer, RolloutCommand } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  revisionOf,
  rolloutOf,
  stepsOf,
  type EndpointEvent,
  type EndpointState,
  type Rollout,
} from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import type { Endpoints, RunningEndpoint } from "./endpoints.ts";
import { namedTarget } from "./named-version.ts";
import { automaticView, pinView, rolloutView, servedView } from "./view.ts";

/**
 * An abort goes back to what served before, also where that has the same content as the candidate,
 * which a rollback would pass over.
 */
async function abortChoice(endpoints: Endpoints, state: EndpointState): Promise<TargetChoice> {
  const choice = await endpoints.chooser.chooseForSwitch(state);
  const from = revisionOf(state, rolloutOf(state)?.from ?? null);
  if (from === undefined || choice.targets.length > 0) return choice;
  const version = await endpoints.deps.select(state.identity.model, String(from.version.sequence));
  return namedTarget(endpoints, state, version, {
    force: false,
    revision: from.revision,
    actor: "the abort",
  });
}

async function eventFor(
  endpoints: Endpoints,
  state: EndpointState,
  command: RolloutCommand,
  operation: string,
): Promise<EndpointEvent> {
  const { actor, reason } = command;
  const base = { operation, actor, reason };
  switch (command.command) {
    case "set-weight":
      return { type: "setWeight", ...base, weight: command.weight };
    case "pause":
      return { type: "pause", ...base, forMs: command.forMs };
    case "resume":
      return { type: "resume", ...base };
    case "promote":
      return { type: "promote", ...base, full: command.full };
    case "pin":
      return { type: "pin", ...base, forMs: command.forMs };
    case "unpin":
      return { type: "unpin", ...base };
    case "abort": {
      const choice = await abortChoice(endpoints, state);
      return { type: "abort", ...base, rollbackId: randomUUID(), choice };
    }
  }
}

/** What came of the rollout's traffic, and of it since the step under way began. */
function seenView(
  { controller }: Pick<RunningEndpoint, "controller">,
  rollout: Rollout | null,
): RolloutAnswer["seen"] {
  const { activity } = controller.state;
  const seen = controller.watch.seenOf(rollout);
  if (seen === null) return null;
  const at = activity.phase === "Progressing" ? activity.step : null;
  const kind = rollout === null || at === null ? null : stepsOf(rollout)[at.index]?.kind;
  const entered = at?.entered ?? null;
  const inMirror = entered === null ? null : seen.pairs - entered.pairs;
  const inShare = entered === null ? null : seen.candidate - entered.candidate;
  return { ...seen, inStep: kind === "mirror" ? inMirror : inShare };
}

/** The rollout under way, else the last one. */
export function showRollout(
  { controller }: Pick<RunningEndpoint, "controller">,
  now: number,
  done: string,
): RolloutAnswer {
  const { state, watch } = controller;
  const rollout = rolloutOf(state) ?? state.lastRollout?.rollout ?? null;
  return {
    endpoint: state.identity.name,
    rollout: rolloutView(state, rollout, now),
    current: servedView(state, state.current),
    done,
    assessment: watch.assessmentOf(rollout),
    seen: seenView({ controller }, rollout),
    pin: pinView(state, now),
    automatic: automaticView(state, now),
  };
}

/** Steers a rollout by hand and waits until what was asked is so, verified. */
export async function steer(
  endpoints: Endpoints,
  command: RolloutCommand,
  operation: string,
): Promise<RolloutAnswer> {
  const { controller } = endpoints.find(command.endpoint);
  const outcome = await controller.command(
    () => eventFor(endpoints, controller.state, command, operation),
    { operation, readAt: endpoints.deps.clock.monotonic() },
  );
  if (!outcome.ok) throw outcome.error;
  const { state } = controller;
  const now = endpoints.deps.clock.now();
  if (outcome.did === "steered") return showRollout({ controller }, now, outcome.done);
  if (outcome.did === "returned") {
    const back = servedView(state, outcome.record.to)?.version ?? "what served before";
    return showRollout(
      { controller },
      now,
      `the rollout is aborted; ${state.identity.name} is on ${back}`,
    );
  }
  throw new LastgoodError("internal", `${command.command} was answered with ${outcome.did}`);
}
