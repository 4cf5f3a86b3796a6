import type { Held } from "./state.ts";
import type { EventOf } from "./step.ts";

/** Stable and candidate fail alike. */
export const OUTAGE_ALARM = "rollout.outage";
/** No requests come. */
export const SILENCE_ALARM = "rollout.silent";

/** The evidence is enough to go back by, were it certain that stable would do better. */
export const PROPOSAL_ALARM = "rollout.proposed";
/** In a cause, after the source: no metric is called so there. */
const PROPOSED = "/proposed";

const SOURCE_ALARMS: ReadonlyMap<string, string> = new Map([
  ["outage", OUTAGE_ALARM],
  ["broken", "rollout.broken"],
  ["silent", SILENCE_ALARM],
]);

/** What holds by such a verdict, without its numbers. */
export function causeOf({ source, proposed, blamed }: EventOf<"assessed">["verdict"]): string {
  // What held it a little becomes what only a person can decide: that is told anew.
  const first = proposed === true ? `${source}${PROPOSED}` : source;
  return [first, ...blamed.toSorted()].join(" ");
}

/** The code under which a person is told at once that nothing can be compared; null: something is. */
export function sourceAlarm({ cause }: Pick<Held, "cause">): string | null {
  const [source = ""] = cause.split(/[ /]/);
  return SOURCE_ALARMS.get(source) ?? null;
}

/** Whether the evidence proposes to go back. */
export function isProposed({ cause }: Pick<Held, "cause">): boolean {
  const [first = ""] = cause.split(" ");
  return first.endsWith(PROPOSED);
}

/** The code under which a person is told at once what holds; null: more evidence ends it. */
export function heldAlarm(held: Pick<Held, "cause">): string | null {
  return sourceAlarm(held) ?? (isProposed(held) ? PROPOSAL_ALARM : null);
}

/** Whether a source cannot be trusted, or both fail: only a person can know what follows from that. */
export function isMute(held: Held): boolean {
  const alarm = sourceAlarm(held);
  return alarm !== null && alarm !== SILENCE_ALARM;
}
