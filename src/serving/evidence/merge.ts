import {
  addArmCounts,
  addInputs,
  addJoint,
  addPairCounts,
  latencyBatch,
  noArmCounts,
  noPairCounts,
  type ArmCounts,
  type PairCounts,
} from "../../core/analysis/index.ts";
import type { Evidence } from "../../link/count/index.ts";
import { FailedKeys } from "./failed-keys.ts";
import { SharedLosses } from "./loss.ts";
import { Labels } from "./prediction.ts";
import {
  addError,
  addPair,
  addUnit,
  bump,
  newArm,
  slotParts,
  type ArmTally,
  type ErrorTally,
  type Incident,
  type PairSeen,
  type WindowTally,
} from "./tally.ts";

/** A record that has not been sent, and so has no number yet. */
export type EvidenceDraft = Omit<Evidence, "sequence">;

/** What of a rollout has to be known across its windows to merge those of several workers. */
export class MergeMemory {
  readonly #labels = new Labels<string>();
  readonly #losses = new Map<string, SharedLosses>();
  readonly #failedKeys = new FailedKeys();

  /** One window as all workers together saw it. `split`: who of two got what by chance, or null. */
  merge(
    windows: readonly WindowTally[],
    revisions: readonly number[],
    split: { readonly candidate: number } | null = null,
  ): Pick<EvidenceDraft, "arms" | "pairs" | "errors"> {
    const errors: ErrorTally[] = [];
    for (const window of windows) for (const error of window.errors) addError(errors, error);
    return {
      arms: revisions.map((revision) => ({
        revision,
        counts: this.#armCounts(
          revision,
          windows.flatMap(({ arms }) => arms.filter((arm) => arm.revision === revision)),
          split?.candidate === revision,
        ),
      })),
      pairs: this.#pairCounts(windows),
      errors,
    };
  }

  #pairCounts(windows: readonly WindowTally[]): PairCounts {
    const sum = windows.reduce(
      (all, { pairs, pairsSeen }) => addPairCounts(all, { ...pairs, ...this.#answers(pairsSeen) }),
      noPairCounts(),
    );
    for (const incident of windows.flatMap(({ pairIncidents }) => pairIncidents)) {
      const isNew = this.#lossesOf(`mirror ${incident.revision}`).isNew(incident);
      if (!isNew) addPair(sum, incident.counted, -1);
    }
    return sum;
  }

  /** Times of those that had as much to do and no company, and all predictions. */
  #answers(seen: readonly PairSeen[]): Pick<PairCounts, "latency" | "outputs"> {
    const latency: PairCounts["latency"] = {};
    const outputs: PairCounts["outputs"] = [];
    for (const { candidate, stable } of seen) {
      const [ours, theirs] = [candidate.run, stable.run];
      if (ours !== null && ours.rows === theirs?.rows)
        (latency[latencyBatch({ rows: ours.rows, beside: 0, moreCame: false })] ??= []).push([
          ours.bucket,
          theirs.bucket,
          1,
        ]);
      if (candidate.label === null || stable.label === null) continue;
      outputs.push([this.#labels.of(candidate.label), this.#labels.of(stable.label), 1]);
    }
    for (const batch of Object.keys(latency)) latency[batch] = addJoint(latency[batch] ?? [], []);
    return { latency, outputs };
  }

  #armCounts(revision: number, tallies: readonly ArmTally[], isCompared: boolean): ArmCounts {
    const sum = newArm(revision);
    for (const tally of tallies) {
      addTotals(sum, tally);
      for (const [slot, times] of tally.latency) bump(sum.latency, slot, times);
      for (const [label, times] of tally.outputs) bump(sum.outputs, this.#labels.of(label), times);
      sum.inputs = addInputs(sum.inputs, tally.inputs);
      for (const [key, outcome] of tally.keys)
        sum.keys.set(key, (sum.keys.get(key) ?? 0) | outcome);
      for (const incident of tally.incidents) this.#addIncident(sum, incident);
    }
    for (const [key, outcome] of sum.keys) {
      const counted = isCompared ? this.#failedKeys.counted(key, outcome) : outcome;
      if (counted === null) sum.aborted += 1;
      else addUnit(sum, counted);
    }
    return countsOf(sum);
  }

  /** What another worker has told of already is taken back; a key's is counted only now. */
  #addIncident(sum: ArmTally, incident: Incident): void {
    const { unit } = incident;
    if (!this.#lossesOf(`assigned ${sum.revision}`).isNew(incident)) {
      sum.aborted += 1;
      if (unit !== undefined) return;
      sum.requests -= 1;
      sum.errors -= 1;
    } else if (unit !== undefined)
      sum.keys.set(unit.key, (sum.keys.get(unit.key) ?? 0) | unit.outcome);
  }

  #lossesOf(whose: string): SharedLosses {
    let losses = this.#losses.get(whose);
    if (losses === undefined) {
      losses = new SharedLosses();
      this.#losses.set(whose, losses);
    }
    return losses;
  }
}

const TOTALS = [
  "requests",
  "errors",
  "invalid",
  "late",
  "rejected",
  "violations",
  "aborted",
  "shed",
  "fallback",
  "fallbackFailed",
] as const;

function addTotals(sum: ArmTally, tally: ArmTally): void {
  for (const total of TOTALS) sum[total] += tally[total];
}

function countsOf(sum: ArmTally): ArmCounts {
  const counts = noArmCounts();
  for (const total of TOTALS) counts[total] = sum[total];
  const slots = [...sum.latency].toSorted(([a], [b]) => a - b);
  for (const [slot, times] of slots) {
    const parts = slotParts(slot);
    (counts.latency[latencyBatch(parts)] ??= []).push([parts.bucket, times]);
  }
  // Labels come from models: `__proto__` is one like any other.
  return { ...counts, outputs: Object.fromEntries(sum.outputs), inputs: sum.inputs };
}

/** Two records of one split as one: a coarser interval is as good as two. */
export function joinDrafts(one: EvidenceDraft, other: EvidenceDraft): EvidenceDraft {
  const errors: ErrorTally[] = [];
  for (const error of [...one.errors, ...other.errors]) addError(errors, error);
  const counts = new Map(one.arms.map((arm) => [arm.revision, arm.counts]));
  for (const arm of other.arms)
    counts.set(arm.revision, addArmCounts(counts.get(arm.revision) ?? noArmCounts(), arm.counts));
  return {
    ...one,
    to: other.to,
    candidateShare: one.candidateShare === other.candidateShare ? one.candidateShare : null,
    arms: [...counts].map(([revision, sum]) => ({ revision, counts: sum })),
    pairs: addPairCounts(one.pairs, other.pairs),
    errors,
    lost: one.lost + other.lost,
    ...(other.ends === true ? { ends: true } : {}),
  };
}

/** True for records whose requests may be counted together. */
export function areOfOneSplit(one: EvidenceDraft, other: EvidenceDraft): boolean {
  return one.rollout === other.rollout && one.split === other.split;
}
