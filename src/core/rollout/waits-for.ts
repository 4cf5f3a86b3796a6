import type { RolloutStep } from "../policy/index.ts";
import { refusedBack } from "./assess.ts";
import { stepsOf, type EndpointState, type Held, type Refused } from "./state.ts";

/** What a rollout waits for that only a person can give. */
export interface WaitsFor {
  readonly why: string;
  /** Commands that end it, the likeliest first. */
  readonly next: readonly string[];
}

/** What only a person can do for the rollout under way; null while it goes on by itself. */
export function waitsFor({ activity, identity }: EndpointState): WaitsFor | null {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return null;
  const { standing, rollout, switching } = activity;
  const { name } = identity;
  const refused = refusedBack(standing);
  if (refused !== null) return wantedBack(refused, name);
  if (standing.undecidedAt !== null) return decision(standing.held, name);
  if (rollout.pause !== null && rollout.pause.until === null)
    return {
      why: `it is paused by ${rollout.pause.by} until somebody resumes it${rollout.pause.why === null ? "" : `: ${rollout.pause.why}`}`,
      next: [`lastgood rollout resume ${name}`, `lastgood rollback ${name}`],
    };
  if (activity.phase === "Baking" || switching !== null) return null;
  const steps = stepsOf(rollout);
  const step = steps[activity.step.index];
  if (step === undefined || !(rollout.byHand || isGate(step))) return null;
  const where = `step ${activity.step.index + 1} of ${steps.length}`;
  return {
    why: isGate(step)
      ? `${where} is a pause without an end: a person takes it on`
      : `${where} is steered by hand: a person takes it on`,
    next: [`lastgood rollout promote ${name}`, `lastgood rollback ${name}`],
  };
}

/** A pause that a person ends. */
const isGate = (step: RolloutStep): boolean => step.kind === "pause" && step.forMs === null;

function wantedBack({ why, cause }: Refused, name: string): WaitsFor {
  const goOn = `lastgood rollout promote ${name} --reason "…"`;
  const goBack = `lastgood rollback ${name}`;
  if (cause.endsWith("target.none"))
    return { why, next: [`lastgood deploy … --to ${name} --replace`, goOn] };
  return cause.endsWith("rollback.pinned")
    ? { why, next: [goBack, `lastgood unpin ${name}`, goOn] }
    : { why, next: [goBack, goOn] };
}

function decision(held: Held | null, name: string): WaitsFor {
  return {
    why: `undecided: ${held?.why ?? "too few requests came to decide by"}`,
    next: [
      `lastgood rollout promote ${name} --reason "…"`,
      `lastgood rollout abort ${name}`,
      `lastgood deploy … --to ${name} --replace`,
    ],
  };
}
