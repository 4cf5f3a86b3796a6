import type { Signal } from "../../core/analysis/index.ts";
import type { FeedbackStore, StoredFeedback } from "../../storage/store/index.ts";
import type { LabelJoin } from "./label-join.ts";
import { LabelTally } from "./label-tally.ts";
import { FEEDBACK_KINDS, isLabelMetric, isMisfit, lossOf, mirroredLoss } from "./loss.ts";
import type { Seen, SignalSource, Watched } from "./watched.ts";

const MINUTE_MS = 60_000;
/** So much feedback is counted at a time; the rest the next time. */
const AT_ONCE = 5_000;
/** Labels wait so long for their predictions to be read; the rest is counted the next time. */
const JOIN_GRACE_MS = 250;

/**
 * Labels and scores. The version is fixed by the id at prediction time; it counts when the feedback
 * arrives. Predictions from before the watch are compared with nothing: their traffic was another.
 * The store itself remembers what was counted, so there is no cursor.
 */
export class FeedbackSource implements SignalSource {
  readonly name = "feedback";
  readonly kinds = FEEDBACK_KINDS;
  readonly #store: FeedbackStore;
  readonly #join: LabelJoin;
  readonly #warn: (message: string, facts?: Readonly<Record<string, unknown>>) => void;

  constructor(parts: {
    readonly store: FeedbackStore;
    readonly join: LabelJoin;
    readonly warn: (message: string, facts?: Readonly<Record<string, unknown>>) => void;
  }) {
    this.#store = parts.store;
    this.#join = parts.join;
    this.#warn = parts.warn;
  }

  async collect(watched: Watched): Promise<Seen> {
    const { endpoint, candidate, stable } = watched;
    const of = {
      endpoint,
      revisions: stable === null ? [candidate] : [candidate, stable],
      sinceMinute: Math.floor(watched.since / MINUTE_MS),
    };
    const metrics = watched.metrics.filter(isLabelMetric);
    if (metrics.some(({ kind }) => kind !== "score")) await this.#join.run(of, JOIN_GRACE_MS);
    const rows = await this.#store.waiting({ ...of, joined: true, limit: AT_ONCE });
    const signals = signalsOf(watched, rows);
    const ids = rows.map(({ requestId }) => requestId);
    const misfits = rows.filter((row) => isMisfit(metrics, row));
    if (misfits.length > 0) {
      this.#warn("labels count for nothing: they do not fit the rows that were predicted", {
        labels: misfits.length,
        for: misfits[0]?.requestId,
      });
    }
    // What no metric asks for is done with at once, or it would be read each time.
    if (Object.keys(signals).length === 0 && ids.length > 0) await this.#store.count(ids);
    return { signals, cursor: null, confirm: (nouns) => nouns.feedback.count(ids) };
  }
}

function signalsOf(
  { metrics, candidate, stable }: Watched,
  rows: readonly StoredFeedback[],
): Record<string, Signal> {
  const signals: Record<string, Signal> = {};
  for (const metric of metrics.filter(isLabelMetric)) {
    const tally = new LabelTally();
    for (const row of rows) {
      const loss = lossOf(metric, row);
      if (loss === null) continue;
      const isCandidate = row.revision === candidate;
      const other = isCandidate ? stable : candidate;
      const beside = other === null ? null : mirroredLoss(metric, row, other);
      if (beside === null) tally.addTo(isCandidate ? "candidate" : "stable", loss);
      else if (isCandidate) tally.addPair(loss, beside);
      else tally.addPair(beside, loss);
    }
    const { signal } = tally;
    if (signal !== null) signals[metric.name] = signal;
  }
  return signals;
}
