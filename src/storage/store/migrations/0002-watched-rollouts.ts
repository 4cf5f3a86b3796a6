import type { Transaction } from "kysely";

import type { Tables } from "../tables.ts";
import type { Migration } from "./migration.ts";

type Json = Record<string, unknown>;

/** What a rollout that began before there were policies ran under: nobody watched it. */
const UNWATCHED = {
  holdback: 0,
  analysis: {
    alpha: 0.001,
    holdAlpha: 0.05,
    beta: 0.05,
    margin: { absolute: 0.01, relative: 1 },
    early: false,
    minRequests: 500,
    flushMs: 1_000,
    deadlineMs: 30_000,
    dispersion: "auto",
    metrics: [],
    inconclusive: { action: "hold", deadlineMs: 21_600_000 },
    noData: { action: "hold", afterMs: 300_000 },
  },
  rollback: {
    automatic: false,
    fallback: false,
    cooldownMs: 600_000,
    atMost: { count: 3, withinMs: 86_400_000 },
  },
};

const NO_STANDING = {
  held: null,
  overdueSince: null,
  undecidedAt: null,
  refused: null,
  silenceToldAt: null,
};

function planOf(strategy: unknown, percent: unknown): Json {
  if (strategy === "canary")
    return { strategy, steps: [{ kind: "weight", percent, until: { requests: 0, timeMs: 0 } }] };
  return strategy === "recreate"
    ? { strategy }
    : { strategy: "blueGreen", steps: [], promotion: "automatic" };
}

function rollout(old: Json | null): Json | null {
  if (old === null || "policy" in old) return old;
  const { weight, ...rest } = old;
  const policy = { ...UNWATCHED, rollout: planOf(old["strategy"], weight), bakeMs: old["bakeMs"] };
  return { ...rest, policy, byHand: old["strategy"] === "canary", restarts: 0 };
}

function activity(old: Json): Json {
  if (old["phase"] === "Idle") return old;
  const next = { ...old, rollout: rollout(old["rollout"] as Json | null) };
  switch (old["phase"]) {
    case "Progressing":
      return {
        step: { index: 0, elapsedMs: 0, runningSince: null, entered: null },
        standing: NO_STANDING,
        ...next,
      };
    case "Baking":
      return { standing: NO_STANDING, ...next };
    case "RollingBack": {
      const back = old["back"] as Json;
      return { ...next, back: { ...back, before: before(back["before"] as Json) } };
    }
    default:
      return next;
  }
}

function before(old: Json): Json {
  return { ...old, activity: activity(old["activity"] as Json) };
}

/** An endpoint's state in the form with policies; one that has it already stays as it is. */
export function watchedState(old: Json): Json {
  const { lastRollout, lastRollback } = old as Record<string, Json | null>;
  return {
    pin: null,
    automatic: [],
    policy: null,
    ...old,
    activity: activity(old["activity"] as Json),
    lastRollout:
      lastRollout === null || lastRollout === undefined
        ? null
        : { ...lastRollout, rollout: rollout(lastRollout["rollout"] as Json) },
    lastRollback:
      lastRollback === null || lastRollback === undefined
        ? null
        : { ...lastRollback, before: before(lastRollback["before"] as Json) },
  };
}

async function evidence(transaction: Transaction<Tables>): Promise<void> {
  await transaction.schema
    .createTable("evidence")
    .addColumn("watch", "text", (column) => column.notNull())
    .addColumn("position", "integer", (column) => column.notNull())
    .addColumn("source", "text", (column) => column.notNull())
    .addColumn("sequence", "bigint", (column) => column.notNull())
    .addColumn("endpoint", "text", (column) => column.notNull())
    .addColumn("at", "bigint", (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("evidence_key", ["watch", "position"])
    .addUniqueConstraint("evidence_once", ["watch", "source", "sequence"])
    .execute();
  await transaction.schema
    .createIndex("evidence_endpoint")
    .on("evidence")
    .columns(["endpoint", "at"])
    .execute();
}

/** What rollouts under watch are judged by, and the states of endpoints with policies. */
export const watchedRollouts: Migration = {
  number: 2,
  name: "watched rollouts",
  kind: "schema",
  oldestCode: 2,
  up: async (transaction) => {
    await evidence(transaction);
    const rows = await transaction.selectFrom("endpoints").select(["name", "state"]).execute();
    for (const { name, state } of rows)
      await transaction
        .updateTable("endpoints")
        .set({ state: JSON.stringify(watchedState(JSON.parse(state) as Json)) })
        .where("name", "=", name)
        .execute();
  },
};
