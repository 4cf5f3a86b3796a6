import type { Interval } from "../../core/analysis/index.ts";
import type { EvidenceStore, StoredEvidence } from "../../storage/store/index.ts";
import { baselineId, IntervalReader } from "./evidence-record.ts";

/** What was seen at rest may be this old to be compared with, ms. */
export const BASELINE_MS = 2 * 3_600_000;
const PAGE = 1_000;

/** All records of a watch after a position, in their order. */
export async function allRecords(
  store: Pick<EvidenceStore, "list">,
  watch: string,
  after = 0,
): Promise<readonly StoredEvidence[]> {
  const records: StoredEvidence[] = [];
  for (;;) {
    const page = await store.list(watch, { after: records.at(-1)?.position ?? after });
    records.push(...page);
    if (page.length < PAGE) return records;
  }
}

/** What a revision did at rest, shortly before; its counts are `stable`'s. */
export async function readBaseline(
  store: Pick<EvidenceStore, "list">,
  endpoint: string,
  of: { readonly revision: number; readonly before: number },
): Promise<readonly Interval[]> {
  const reader = new IntervalReader({ candidate: 0, stable: of.revision });
  const intervals: Interval[] = [];
  for (const record of await allRecords(store, baselineId(endpoint, of.revision))) {
    const interval = reader.next(record);
    if (interval === null || interval.to > of.before) continue;
    if (of.before - interval.to <= BASELINE_MS) intervals.push(interval);
  }
  return intervals;
}
