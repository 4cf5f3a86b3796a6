import type { Migration } from "./migration.ts";

type Json = Record<string, unknown>;

function withOutage(activity: Json): Json {
  const { switching } = activity as Record<string, Json | null | undefined>;
  if (switching === null || switching === undefined) return activity;
  return { ...activity, switching: { outage: null, ...switching } };
}

function withBefore(record: Json): Json {
  const before = record["before"] as Json;
  return { ...record, before: { ...before, activity: withOutage(before["activity"] as Json) } };
}

/** An endpoint's state in the form in which a way back may stay wanted; twice is once. */
export function stateWithWanted(old: Json): Json {
  const { lastRollback } = old as Record<string, Json | null>;
  const activity = withOutage(old["activity"] as Json);
  const { back } = activity as Record<string, Json | undefined>;
  return {
    wanted: null,
    ...old,
    activity: back === undefined ? activity : { ...activity, back: withBefore(back) },
    lastRollback:
      lastRollback === null || lastRollback === undefined ? null : withBefore(lastRollback),
  };
}

/** States of endpoints in which a way back may stay wanted, and a switch wait for the end of an outage. */
export const wantedReturns: Migration = {
  number: 4,
  name: "wanted returns",
  kind: "data",
  oldestCode: 4,
  up: async (transaction) => {
    const rows = await transaction.selectFrom("endpoints").select(["name", "state"]).execute();
    for (const { name, state } of rows)
      await transaction
        .updateTable("endpoints")
        .set({ state: JSON.stringify(stateWithWanted(JSON.parse(state) as Json)) })
        .where("name", "=", name)
        .execute();
  },
};
