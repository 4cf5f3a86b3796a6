import { drawBinomial, type Random } from "./draw.ts";
import type { Signal } from "./interval.ts";

/** Metrics that what callers tell of answers counts for. */
const LABELLED: ReadonlySet<string> = new Set(["accuracy", "meanError", "score"]);

/** Whether a metric hears of labels. */
export const isLabelled = (kind: string): boolean => LABELLED.has(kind);

/** How labels come in a simulation, and how often each arm is wrong by them. */
export interface SimulatedLabels {
  /** Share of the requests that are told of. */
  readonly share: number;
  readonly delayMs: number;
  readonly candidateWrong: number;
  readonly stableWrong: number;
  /** Names of the metrics that hear of them. */
  readonly metrics: readonly string[];
}

/** Requests of one interval that somebody will tell of. */
interface Due {
  readonly at: number;
  readonly split: number;
  readonly candidate: number;
  readonly stable: number;
  readonly pairs: number;
}

/** What an interval's requests were. */
export interface Requests {
  readonly to: number;
  readonly split: number;
  readonly candidate: number;
  readonly stable: number;
  /** Of those, answered by both. */
  readonly copies: number;
}

/**
 * Labels on their way: told of a share of the requests, so long after them, right or wrong each by
 * itself. A loss in [0, 1] is drawn as all or nothing, which scatters the most.
 */
export class LabelsOnTheirWay {
  readonly #labels: SimulatedLabels;
  readonly #random: Random;
  readonly #due: Due[] = [];

  constructor(labels: SimulatedLabels, random: Random) {
    this.#labels = labels;
    this.#random = random;
  }

  /** Takes in an interval's requests, and gives what is told by its end: of this split alone. */
  after({ to, split, candidate, stable, copies }: Requests): Record<string, Signal> {
    const { share, delayMs, metrics } = this.#labels;
    const told = (requests: number): number => drawBinomial(this.#random, requests, share);
    const [own, beside] =
      candidate > 0 ? [candidate - Math.min(copies, candidate), stable] : [0, stable - copies];
    this.#due.push({
      at: to + delayMs,
      split,
      candidate: told(own),
      stable: told(Math.max(0, beside)),
      pairs: told(copies),
    });
    const now = { candidate: 0, stable: 0, pairs: 0 };
    for (let first = this.#due[0]; first !== undefined && first.at <= to; first = this.#due[0]) {
      this.#due.shift();
      if (first.split !== split) continue;
      now.candidate += first.candidate;
      now.stable += first.stable;
      now.pairs += first.pairs;
    }
    if (now.candidate + now.stable + now.pairs === 0) return {};
    const signal = this.#judged(now);
    return Object.fromEntries(metrics.map((name) => [name, signal]));
  }

  #judged(told: Pick<Due, "candidate" | "stable" | "pairs">): Signal {
    const { candidateWrong, stableWrong } = this.#labels;
    const draw = (of: number, p: number): number => drawBinomial(this.#random, of, p);
    const bad = draw(told.pairs, candidateWrong);
    const bothBad = draw(bad, stableWrong);
    return {
      candidate: { observations: told.candidate, bad: draw(told.candidate, candidateWrong) },
      stable: { observations: told.stable, bad: draw(told.stable, stableWrong) },
      paired:
        told.pairs === 0
          ? null
          : {
              pairs: told.pairs,
              onlyCandidateBad: bad - bothBad,
              onlyStableBad: draw(told.pairs - bad, stableWrong),
              bothBad,
              losses: [],
            },
      broken: null,
    };
  }
}
