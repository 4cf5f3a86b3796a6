import type { Signal } from "../../core/analysis/index.ts";

type Counts<Of> = { -readonly [K in keyof Of]: Of[K] };
type Paired = NonNullable<Signal["paired"]>;

const nothing = (): Counts<Signal["candidate"]> => ({ observations: 0, bad: 0 });

/** Who was wrong, where both answers were right or wrong; null: one was neither. */
function outcomeOf(
  candidate: number,
  stable: number,
): "onlyCandidateBad" | "onlyStableBad" | "bothBad" | "bothGood" | null {
  if (candidate === 1) return stable === 1 ? "bothBad" : stable === 0 ? "onlyCandidateBad" : null;
  if (candidate !== 0) return null;
  return stable === 1 ? "onlyStableBad" : stable === 0 ? "bothGood" : null;
}

/**
 * What labels say of one metric, each of them once: as one of a pair where both revisions answered the
 * request, else for the arm that answered it.
 */
export class LabelTally {
  readonly #candidate = nothing();
  readonly #stable = nothing();
  readonly #paired: Counts<Paired> = {
    pairs: 0,
    onlyCandidateBad: 0,
    onlyStableBad: 0,
    bothBad: 0,
    losses: [],
  };

  /** The request was answered by one revision. */
  addTo(arm: "candidate" | "stable", loss: number): void {
    const counts = arm === "candidate" ? this.#candidate : this.#stable;
    counts.observations += 1;
    counts.bad += loss;
  }

  /** The request was answered by both. */
  addPair(candidate: number, stable: number): void {
    const outcome = outcomeOf(candidate, stable);
    if (outcome === null) {
      this.#paired.losses.push([candidate, stable]);
      return;
    }
    this.#paired.pairs += 1;
    if (outcome !== "bothGood") this.#paired[outcome] += 1;
  }

  /** Without observations where there was nothing. */
  get signal(): Signal {
    const { pairs, losses } = this.#paired;
    return {
      candidate: this.#candidate,
      stable: this.#stable,
      paired: pairs + losses.length > 0 ? this.#paired : null,
      broken: null,
    };
  }
}
