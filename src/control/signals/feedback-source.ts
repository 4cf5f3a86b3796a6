import type { Signal } from "../../core/analysis/index.ts";
import type { FeedbackStore, StoredFeedback } from "../../storage/store/index.ts";
import type { LabelJoin } from "./label-join.ts";
import { LabelTally } from "./label-tally.ts";
import { FEEDBACK_KINDS, isLabelMetric, isMisfit, lossOf, mirroredLoss } from "./loss.ts";
import { saysSomething, type Seen, type SignalSource, type Watched } from "./watched.ts";

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
  /** By rollout: the split that was told of last. */
  readonly #told = new Map<string, number>();

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
    const waiting = await this.#store.waiting({ ...of, joined: true, limit: AT_ONCE });
    const { split, rows } = this.#turn(watched, waiting);
    const signals = signalsOf(watched, rows, split);
    const ids = rows.map(({ requestId }) => requestId);
    const misfits = rows.filter((row) => isMisfit(metrics, row));
    if (misfits.length > 0) {
      this.#warn("labels count for nothing: they do not fit the rows that were predicted", {
        labels: misfits.length,
        for: misfits[0]?.requestId,
      });
    }
    // What no metric asks for is done with at once, or it would be read each time.
    if (ids.length > 0 && !Object.values(signals).some(saysSomething)) await this.#store.count(ids);
    return { signals, cursor: null, confirm: (nouns) => nouns.feedback.count(ids) };
  }

  forget(rollout: string): void {
    this.#told.delete(rollout);
  }

  /**
   * The feedback of one split, of each in its turn. Feedback comes late: under another split the arms
   * had other shares of the traffic, and at another time answers may have been wrong more often, so
   * that both splits together would compare one arm's good days with the other one's bad days.
   */
  #turn(
    { rollout, splits }: Watched,
    waiting: readonly StoredFeedback[],
  ): { readonly split: number | undefined; readonly rows: readonly StoredFeedback[] } {
    const bySplit = Map.groupBy(waiting, ({ minute }) => splitAt(splits, minute * MINUTE_MS));
    const rising = [...bySplit].toSorted(([a = -1], [b = -1]) => a - b);
    const told = this.#told.get(rollout) ?? -1;
    const [split, rows = []] = rising.find(([one = -1]) => one > told) ?? rising[0] ?? [];
    if (split !== undefined) this.#told.set(rollout, split);
    return { split, rows };
  }
}

/** The split in which a minute began; what came before the first belongs to it. */
function splitAt(splits: Watched["splits"], at: number): number | undefined {
  return (splits.findLast(({ from }) => from <= at) ?? splits[0])?.split;
}

function signalsOf(
  { metrics, candidate, stable }: Watched,
  rows: readonly StoredFeedback[],
  split: number | undefined,
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
    signals[metric.name] = split === undefined ? signal : { ...signal, split };
  }
  return signals;
}
