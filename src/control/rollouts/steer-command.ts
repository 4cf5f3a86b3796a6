import { randomUUID } from "node:crypto";

import type { RolloutAnswer, RolloutCommand } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { rolloutOf, type EndpointEvent, type EndpointState } from "../../core/rollout/index.ts";
import type { Endpoints } from "./endpoints.ts";
import { rolloutView, servedView } from "./view.ts";

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
    case "abort": {
      const choice = await endpoints.chooser.chooseForSwitch(state);
      return { type: "abort", ...base, rollbackId: randomUUID(), choice };
    }
  }
}

/** The rollout under way, else the last one. */
export function showRollout(state: EndpointState, now: number, done: string): RolloutAnswer {
  const rollout = rolloutOf(state) ?? state.lastRollout?.rollout ?? null;
  return {
    endpoint: state.identity.name,
    rollout: rolloutView(state, rollout, now),
    current: servedView(state, state.current),
    done,
  };
}

/** Steers a rollout by hand and waits until what was asked is so, verified. */
export async function steer(endpoints: Endpoints, command: RolloutCommand): Promise<RolloutAnswer> {
  const { controller } = endpoints.find(command.endpoint);
  const outcome = await controller.command(
    (operation) => eventFor(endpoints, controller.state, command, operation),
    endpoints.deps.clock.monotonic(),
  );
  if (!outcome.ok) throw outcome.error;
  const { state } = controller;
  const now = endpoints.deps.clock.now();
  if (outcome.did === "steered") return showRollout(state, now, outcome.done);
  if (outcome.did === "returned") {
    const back = servedView(state, outcome.record.to)?.version ?? "what served before";
    return showRollout(state, now, `the rollout is aborted; ${state.identity.name} is on ${back}`);
  }
  throw new LastgoodError("internal", `${command.command} was answered with ${outcome.did}`);
}
