import type { LastgoodClient } from "../../client/index.ts";
import type { RolloutAnswer, RolloutView } from "../../core/api/index.ts";
import { LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import { PlannedWait, type Deadline } from "./deadline.ts";
import { metricWords } from "./describe-evidence.ts";
import { rolloutHeadline, rolloutKey } from "./describe-rollout.ts";

/** How to wait for the end of a rollout. */
export interface WaitOptions {
  /** Null: as long as its plan says, and while it is held. */
  readonly deadline: Deadline | null;
  readonly pollMs: number;
  /** Told of each change: a step, a weight, what holds it. */
  readonly note: (line: string) => void;
}

/**
 * The answer to what starts a rollout, where it comes before the deadline, if there is one.
 * @throws `wait.undecided` past it: the server goes on with it; else what `start` throws.
 */
export async function startedBefore<T>(
  deadline: Deadline | null,
  what: string,
  start: (signal?: AbortSignal) => Promise<T>,
): Promise<T> {
  if (deadline === null) return start();
  try {
    return await start(deadline.signal);
  } catch (error) {
    if (!deadline.signal.aborted || error instanceof LastgoodError) throw error;
    throw new LastgoodError(
      "wait.undecided",
      `${what} carries no traffic yet after ${formatDuration(deadline.timeoutMs)}: it is still being prepared or switched to; it goes on at the server`,
      { hint: "lastgood rollout status", cause: error },
    );
  }
}

/** What each end of a rollout means to a waiting command; null is success. */
const OUTCOMES: Readonly<Record<RolloutView["phase"], ErrorCode | "success" | "unfinished">> = {
  Preparing: "unfinished",
  Progressing: "unfinished",
  Baking: "unfinished",
  RollingBack: "unfinished",
  Succeeded: "success",
  RolledBack: "rollout.rolled-back",
  Aborted: "rollout.superseded",
  Rejected: "preflight.rejected",
  NoTarget: "rollback.no-target-left",
};

/**
 * The rollout once it has succeeded.
 * @throws `rollout.rolled-back`, `rollout.superseded` (aborted, or another one took its place),
 * `preflight.rejected`, `rollback.no-target-left`; `wait.undecided` past the deadline (without one:
 * where its plan is long over and nothing holds it), or at once when its evidence came to nothing;
 * `wait.person` at once when it goes no further without a person. The rollout goes on after these.
 */
export async function waitForRollout(
  client: LastgoodClient,
  begun: RolloutView,
  options: WaitOptions,
): Promise<RolloutView> {
  const patience = options.deadline ?? new PlannedWait();
  let key: string | null = null;
  for (;;) {
    const answer = await client.rollout(begun.endpoint);
    const rollout = answer.rollout?.id === begun.id ? answer.rollout : await lastOf(client, begun);
    if (rolloutKey(rollout) !== key) options.note(rolloutHeadline(rollout));
    key = rolloutKey(rollout);
    if (outcomeOf(answer, rollout) === "success") return rollout;
    if (rollout.waitsFor !== null) throw waiting(rollout, answer.assessment);
    const over = patience.overAfter(rollout);
    if (over !== null)
      throw new LastgoodError(
        "wait.undecided",
        `the rollout of ${begun.to.version} on ${begun.endpoint} is still ${rollout.phase} ${over}; it goes on`,
        { hint: `lastgood rollout status ${begun.endpoint}`, details: { rollout } },
      );
    await new Promise((resolve) => {
      setTimeout(resolve, options.pollMs);
    });
  }
}

/** The rollout after another one began. @throws `rollout.superseded` where that took its place. */
export async function lastOf(client: LastgoodClient, begun: RolloutView): Promise<RolloutView> {
  const { lastRollout } = await client.endpoint(begun.endpoint);
  if (lastRollout?.id === begun.id) return lastRollout;
  throw ended("rollout.superseded", begun, { why: "another rollout took its place" });
}

/** What a rollout has come to. @throws how it ended, unless it succeeded, and that it is undecided. */
export function outcomeOf(
  answer: Pick<RolloutAnswer, "assessment">,
  rollout: RolloutView,
): "success" | "unfinished" {
  const { assessment } = answer;
  const outcome = OUTCOMES[rollout.phase];
  if (outcome === "unfinished" && rollout.undecided) throw undecided(rollout, assessment);
  if (outcome === "success" || outcome === "unfinished") return outcome;
  throw ended(outcome, rollout, { why: rollout.reason ?? rollout.phase, assessment });
}

function undecided(rollout: RolloutView, assessment: RolloutAnswer["assessment"]): LastgoodError {
  const { endpoint, held, to } = rollout;
  const why = held?.why ?? "too few requests came to decide by";
  return new LastgoodError(
    "wait.undecided",
    `the rollout of ${to.version} on ${endpoint} is undecided: ${why}; it goes on until a person decides`,
    {
      hint: `lastgood rollout promote ${endpoint} --reason "…", lastgood rollout abort ${endpoint}, or another deploy with --replace`,
      details: { rollout, assessment, evidence: evidenceIn(assessment) },
    },
  );
}

function waiting(rollout: RolloutView, assessment: RolloutAnswer["assessment"]): LastgoodError {
  const { endpoint, to, waitsFor, weight } = rollout;
  const carries = weight > 0 ? `, ${to.version} at ${weight} %` : "";
  return new LastgoodError(
    "wait.person",
    `the rollout of ${to.version} on ${endpoint} waits for a person${carries}: ${waitsFor?.why ?? ""}`,
    {
      hint: (waitsFor?.next ?? []).join(", or "),
      details: { rollout, assessment, evidence: evidenceIn(assessment) },
    },
  );
}

/** What was observed, in words. */
const evidenceIn = (assessment: RolloutAnswer["assessment"]): readonly string[] =>
  metricWords((assessment?.metrics ?? []).filter(({ candidate }) => candidate.observations > 0));

function ended(
  code: ErrorCode,
  rollout: RolloutView,
  by: { readonly why: string; readonly assessment?: RolloutAnswer["assessment"] },
): LastgoodError {
  const { endpoint, to } = rollout;
  const assessment = by.assessment ?? null;
  const back = code === "rollout.rolled-back";
  const itself = back && assessment?.decision === "rollback" ? " by itself" : "";
  return new LastgoodError(
    code,
    back
      ? `${to.version} on ${endpoint} was rolled back${itself}: ${by.why}`
      : `the rollout of ${to.version} on ${endpoint} ended: ${by.why}`,
    {
      hint: back ? `lastgood incident ${rollout.id.slice(0, 8)}` : `lastgood history ${endpoint}`,
      details: {
        rollout,
        ...(back ? { assessment, evidence: evidenceIn(assessment) } : {}),
      },
    },
  );
}
