import type { LastgoodClient } from "../../client/index.ts";
import type { RolloutAnswer, RolloutView } from "../../core/api/index.ts";
import { describeRollout, rolloutHeadline, rolloutKey } from "./describe-rollout.ts";
import { BROKEN_OFF, type Session } from "./session.ts";
import { lastOf, outcomeOf } from "./wait.ts";

const CLEAR_SCREEN = "\u001b[2J\u001b[H";

/**
 * Follows a rollout to its end: redrawn on a terminal, a line for each change elsewhere; with `--json`
 * the answer at the end.
 * @throws how it ended, as `waitForRollout`; that it is undecided, at once.
 */
export async function watchRollout(
  session: Session,
  client: LastgoodClient,
  watched: { readonly endpoint: string | null; readonly pollMs: number },
): Promise<void> {
  const { terminal } = session;
  const redraws = terminal.isTerminal && !terminal.json;
  let begun: RolloutView | null = null;
  let key: string | null = null;
  for (;;) {
    const answer: RolloutAnswer = await client.rollout(watched.endpoint);
    const { rollout } = answer;
    if (redraws) {
      terminal.raw(CLEAR_SCREEN);
      terminal.print(...describeRollout(answer, session));
    }
    if (begun !== null && rollout?.id !== begun.id) {
      const past = await lastOf(client, begun);
      outcomeOf({ assessment: null }, past);
      return last({ ...answer, rollout: past, assessment: null, seen: null }, session);
    }
    if (rollout === null) return last(answer, session);
    begun = rollout;
    if (rolloutKey(rollout) !== key && !redraws && !terminal.json)
      terminal.print(rolloutHeadline(rollout));
    key = rolloutKey(rollout);
    if (outcomeOf(answer, rollout) === "success") return last(answer, session);
    if (terminal.isUnread) {
      session.exitCode = BROKEN_OFF;
      return;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, watched.pollMs);
    });
  }
}

/** The end of it: drawn already on a terminal. */
function last(answer: RolloutAnswer, session: Session): void {
  const { terminal } = session;
  if (terminal.isTerminal && !terminal.json) return;
  terminal.answer(answer, () => describeRollout(answer, session));
}
