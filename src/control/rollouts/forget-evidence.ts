import { evidenceIdOf, rolloutOf } from "../../core/rollout/index.ts";
import { BASELINE_MS } from "./baseline.ts";
import type { Endpoints } from "./endpoints.ts";
import { baselineId } from "./evidence-record.ts";

/** Old evidence is looked for this often, ms. */
export const FORGET_EVERY_MS = 600_000;
/** What rollouts were judged by is kept this long, so that it can be explained, ms. */
const KEPT_MS = 90 * 86_400_000;

/** Forgets evidence that is too old to be compared with or explained. */
export async function forgetEvidence(endpoints: Endpoints): Promise<void> {
  const { store, clock, journal } = endpoints.deps;
  const now = clock.now();
  for (const { controller } of endpoints.all()) {
    const { state } = controller;
    const { name } = state.identity;
    const rollout = rolloutOf(state);
    const keep = rollout === null ? [] : [evidenceIdOf(rollout)];
    const of = state.revisions.map(({ revision }) => baselineId(name, revision));
    try {
      await store.evidence.prune(name, { before: now - BASELINE_MS, of });
      await store.evidence.prune(name, { before: now - KEPT_MS, keep });
    } catch (error) {
      journal.error(`old evidence could not be removed: ${String(error)}`, { endpoint: name });
    }
  }
}
