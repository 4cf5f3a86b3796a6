import type { RolloutAnswer, RolloutView } from "../../core/api/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import { assessmentLines } from "./describe-evidence.ts";
import { grouped, moment } from "./phrase.ts";
import type { Session } from "./session.ts";

/** Where a rollout is among its steps: `step 1 of 2 (10 %)`, or null. */
export function stepName({ step }: RolloutView): string | null {
  if (step === null) return null;
  const what = step.percent === null ? step.kind : `${step.percent} %`;
  const how = step.kind === "mirror" ? `${what} mirrored` : what;
  return `step ${step.number} of ${step.of} (${how})`;
}

/** What a step still waits for. */
function stepLeft({ step }: RolloutView, inStep: number | null): string {
  if (step === null) return "";
  if (step.byHand) return "";
  const waits: string[] = [];
  if (step.requests !== null && step.requests > 0)
    waits.push(
      inStep === null
        ? `until ${grouped(step.requests)} requests`
        : `${grouped(Math.min(inStep, step.requests))} of ${grouped(step.requests)} requests`,
    );
  if (step.timeLeftMs !== null)
    waits.push(
      step.timeLeftMs > 0 ? `${formatDuration(step.timeLeftMs)} left` : "its time is over",
    );
  if (step.coolingUntil !== null)
    waits.push(`cooldown after the last rollback by itself until ${moment(step.coolingUntil)}`);
  return waits.length === 0 ? "" : `: ${waits.join(", ")}`;
}

/** A rollout in one line: what is told of it when it changes. */
export function rolloutHeadline(rollout: RolloutView): string {
  const { phase, to, held, paused, undecided, waitsFor, weight } = rollout;
  const step = phase === "Progressing" ? stepName(rollout) : null;
  const parts = [
    `${rollout.endpoint}: ${phase}`,
    ...(step === null ? [] : [step]),
    ...(phase === "Baking" || phase === "Progressing" ? [`${to.version} at ${weight} %`] : []),
    ...(paused === null ? [] : [`paused by ${paused.by}`]),
    ...(undecided ? ["undecided"] : waitsFor === null ? [] : ["waits for a person"]),
    ...(held === null ? [] : [`held: ${held.why}`]),
  ];
  return parts.join(", ");
}

/** What of a rollout is a change worth a line; numbers in words change all the time. */
export function rolloutKey(rollout: RolloutView): string {
  const { phase, step, weight, paused, waitsFor, held } = rollout;
  const waits = waitsFor !== null;
  return JSON.stringify([phase, step?.number, weight, paused !== null, waits, held?.since]);
}

function pausedLine({ paused }: RolloutView): string[] {
  if (paused === null) return [];
  const until = paused.until === null ? "" : ` until ${moment(paused.until)}`;
  return [`  paused    by ${paused.by}${until}${paused.why === null ? "" : `: ${paused.why}`}`];
}

/** What it waits for; not again what holds it. */
function waitsLines(
  { why, next }: NonNullable<RolloutView["waitsFor"]>,
  held: string | null,
): string[] {
  const what = why === held ? "what holds it" : why;
  return [
    `  waits     for a person: ${what}`,
    ...next.map((command, at) => `  ${at === 0 ? "next" : "or  "}      ${command}`),
  ];
}

/** What a rollout is and where it stands, without its evidence. */
export function rolloutLines(rollout: RolloutView, inStep: number | null = null): string[] {
  const { bakeEndsAt, held, phase } = rollout;
  const lines = [`  weight    ${rollout.weight} % on ${rollout.to.version}`];
  const step = stepName(rollout);
  if (step !== null) lines.push(`  step      ${step.slice(5)}${stepLeft(rollout, inStep)}`);
  if (rollout.preview !== null && phase === "Progressing")
    lines.push(
      `  preview   ${rollout.to.version} alone: POST ${rollout.preview}/infer on the serving port`,
    );
  lines.push(...pausedLine(rollout));
  if (bakeEndsAt !== null && phase === "Baking")
    lines.push(`  bake      ${formatDuration(Math.max(0, bakeEndsAt - Date.now()))} left`);
  if (held !== null) lines.push(`  held      since ${moment(held.since)}: ${held.why}`);
  if (rollout.waitsFor !== null) lines.push(...waitsLines(rollout.waitsFor, held?.why ?? null));
  lines.push(`  started   ${moment(rollout.startedAt)}`);
  if (rollout.endedAt !== null) lines.push(`  ended     ${moment(rollout.endedAt)}`);
  if (rollout.reason !== null) lines.push(`  reason    ${rollout.reason}`);
  return lines;
}

/** Whether the endpoint goes back by itself, where it does not. */
export function automaticLines(
  { pin, automatic }: Pick<RolloutAnswer, "pin" | "automatic">,
  session: Session,
): string[] {
  const { terminal } = session;
  if (automatic.on && pin === null) return [];
  const off = terminal.style("yellow", "does not go back by itself");
  if (pin === null) return [`  automatic ${off}: ${automatic.why ?? "it is off"}`];
  return [`  pinned    ${off} until ${moment(pin.until)}: ${pin.why} (${pin.by})`];
}

/** Everything that is known of a rollout. */
export function describeRollout(answer: RolloutAnswer, session: Session): string[] {
  const { rollout, endpoint, assessment, seen } = answer;
  if (rollout === null) return [`${endpoint}: no rollout yet`, ...automaticLines(answer, session)];
  const from = rollout.from === null ? "" : ` from ${rollout.from.version}`;
  const answered = seen === null ? 0 : seen.fallback + seen.fallbackFailed;
  return [
    session.terminal.style(
      "bold",
      `${endpoint}: ${rollout.phase}, ${rollout.strategy}${from} to ${rollout.to.version}`,
    ),
    ...rolloutLines(rollout, seen?.inStep ?? null),
    ...(seen !== null && answered > 0
      ? [
          `  fallback  ${grouped(seen.fallback)} answered by stable instead, ${grouped(seen.fallbackFailed)} failed there too`,
        ]
      : []),
    ...automaticLines(answer, session),
    ...(assessment === null ? [] : assessmentLines(assessment, session)),
  ];
}
