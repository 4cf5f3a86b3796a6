import type { LastgoodClient } from "../../client/index.ts";
import type { RolloutView } from "../../core/api/index.ts";
import { LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import { formatDuration } from "../../core/time/index.ts";

/** How to wait for the end of a rollout. */
export interface WaitOptions {
  readonly timeoutMs: number;
  readonly pollMs: number;
  /** Told once per change of phase. */
  readonly note: (line: string) => void;
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
 * `preflight.rejected`, `rollback.no-target-left`; `wait.undecided` past the deadline, while the
 * rollout goes on.
 */
export async function waitForRollout(
  client: LastgoodClient,
  begun: RolloutView,
  options: WaitOptions,
): Promise<RolloutView> {
  const until = performance.now() + options.timeoutMs;
  let phase: string | null = null;
  for (;;) {
    const view = await client.endpoint(begun.endpoint);
    const rollout = [view.rollout, view.lastRollout].find((each) => each?.id === begun.id) ?? null;
    if (rollout === null)
      throw ended("rollout.superseded", begun, "another rollout took its place");
    if (rollout.phase !== phase) options.note(`${begun.endpoint}: ${rollout.phase}`);
    phase = rollout.phase;
    const outcome = OUTCOMES[rollout.phase];
    if (outcome === "success") return rollout;
    if (outcome !== "unfinished") throw ended(outcome, rollout, rollout.reason ?? rollout.phase);
    if (performance.now() >= until) {
      throw new LastgoodError(
        "wait.undecided",
        `the rollout of ${begun.to.version} on ${begun.endpoint} is still ${rollout.phase} after ${formatDuration(options.timeoutMs)}; it goes on`,
        { hint: `lastgood rollout status ${begun.endpoint}`, details: { rollout } },
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, options.pollMs);
    });
  }
}

function ended(code: ErrorCode, rollout: RolloutView, why: string): LastgoodError {
  return new LastgoodError(
    code,
    `the rollout of ${rollout.to.version} on ${rollout.endpoint} ended: ${why}`,
    { hint: `lastgood history ${rollout.endpoint}`, details: { rollout } },
  );
}
