import {
  assess,
  contextOf,
  observe,
  startAnalysis,
  type Assessment,
  type AssessmentContext,
} from "../../core/analysis/index.ts";
import { evidenceIdOf, type Rollout } from "../../core/rollout/index.ts";
import type { EvidenceStore } from "../../storage/store/index.ts";
import { allRecords } from "./baseline.ts";
import { IntervalReader, planIn } from "./evidence-record.ts";
import type { Seen } from "./rollout-watch.ts";

/** What is known of a rollout that has ended. */
export interface EndedEvidence {
  readonly assessment: Assessment;
  readonly seen: Seen;
}

/** Up to which record it was decided, and what was known beside them. */
export interface DecidedBy {
  readonly position: number;
  readonly context: AssessmentContext;
}

/**
 * The last assessment of a rollout that has ended, computed again from its stored evidence: what was
 * folded in memory is gone with the control plane that did. Null where none is stored.
 */
export async function endedEvidence(
  store: Pick<EvidenceStore, "list">,
  rollout: Rollout,
  decided: DecidedBy | null,
): Promise<EndedEvidence | null> {
  const records = await allRecords(store, evidenceIdOf(rollout));
  const plan = planIn(records);
  if (plan === null) return null;
  const reader = new IntervalReader({ candidate: rollout.candidate, stable: rollout.from });
  let analysis = startAnalysis(plan);
  let context: AssessmentContext | null = null;
  const seen = { candidate: 0, pairs: 0, fallback: 0, fallbackFailed: 0 };
  for (const record of records) {
    const interval = reader.next(record);
    if (interval === null || (decided !== null && record.position > decided.position)) continue;
    analysis = observe(analysis, interval);
    context = contextOf(interval);
    seen.candidate += interval.candidate.requests;
    seen.pairs += interval.pairs.pairs;
    seen.fallback += interval.candidate.fallback;
    seen.fallbackFailed += interval.candidate.fallbackFailed;
  }
  return context === null
    ? null
    : { assessment: assess(analysis, decided?.context ?? context), seen };
}
