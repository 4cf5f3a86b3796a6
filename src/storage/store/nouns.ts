import { countStore } from "./counts.ts";
import { cursorStore } from "./cursors.ts";
import { disagreementStore } from "./disagreements.ts";
import { endpointStore } from "./endpoints.ts";
import { evidenceStore } from "./evidence.ts";
import type { Executor } from "./executor.ts";
import { feedbackStore } from "./feedback.ts";
import { historyStore } from "./history.ts";
import { modelStore } from "./models.ts";
import { operationStore } from "./operations.ts";
import type { StoreNouns } from "./store.ts";
import { versionStore } from "./versions.ts";

/** All nouns over one database or transaction. */
export function nounsOver(executor: Executor): StoreNouns {
  return {
    models: modelStore(executor),
    versions: versionStore(executor),
    endpoints: endpointStore(executor),
    history: historyStore(executor),
    operations: operationStore(executor),
    counts: countStore(executor),
    feedback: feedbackStore(executor),
    cursors: cursorStore(executor),
    disagreements: disagreementStore(executor),
    evidence: evidenceStore(executor),
  };
}
