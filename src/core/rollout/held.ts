import type { Held } from "./state.ts";

/** Stable and candidate fail alike. */
export const OUTAGE_ALARM = "rollout.outage";
/** No requests come. */
export const SILENCE_ALARM = "rollout.silent";

const SOURCE_ALARMS: ReadonlyMap<string, string> = new Map([
  ["outage", OUTAGE_ALARM],
  ["broken", "rollout.broken"],
  ["silent", SILENCE_ALARM],
]);

/** The code under which a person is told at once that nothing can be compared; null: something is. */
export function sourceAlarm({ cause }: Pick<Held, "cause">): string | null {
  const [source = ""] = cause.split(" ");
  return SOURCE_ALARMS.get(source) ?? null;
}

/** Whether a source cannot be trusted, or both fail: only a person can know what follows from that. */
export function isMute(held: Held): boolean {
  const alarm = sourceAlarm(held);
  return alarm !== null && alarm !== SILENCE_ALARM;
}
