import type { Rule } from "./rule.ts";

/** Quantile of the normal distribution at 0.99: two-sided confidence 0.98, as the judge has it. */
const CRITICAL_Z = 2.3263478740408408;
/** The interval has to leave more than this share of the estimated shift. */
const FRACTION = 0.25;

/** The values of one arm with the correction for ties that its ranks need. */
class Sample {
  readonly values: number[] = [];
  readonly #counts = new Map<number, number>();
  /** Sum of t^3 - t over the groups of t equal values. */
  ties = 0;

  add(value: number): void {
    const count = this.#counts.get(value) ?? 0;
    this.#counts.set(value, count + 1);
    this.ties += 3 * count * (count + 1);
    this.values.push(value);
  }
}

/** All differences of a candidate's value and a stable one's, ascending. */
function differences(candidate: readonly number[], stable: readonly number[]): Float64Array {
  return Float64Array.from(candidate.flatMap((x) => stable.map((y) => x - y))).toSorted();
}

/** How many differences are not above 0, without the work of having them all. */
class NotAbove {
  count = 0;
  #seen = 0;

  update(candidate: readonly number[], stable: readonly number[]): void {
    candidate.forEach((x, row) => {
      for (let column = row < this.#seen ? this.#seen : 0; column < stable.length; column += 1)
        if (x <= (stable[column] ?? NaN)) this.count += 1;
    });
    this.#seen = candidate.length;
  }
}

function middle(sorted: Float64Array): number {
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? NaN) + upper) / 2;
}

/**
 * Kayenta's judge for a metric whose increase is bad: a point per interval and version, the error rate;
 * the Mann-Whitney confidence interval of the shift at 0.98, with the normal approximation and its
 * corrections as in R; "High" where its lower end is above a quarter of the estimated shift. Judged on
 * all points so far after each `every` intervals, without removal of outliers. With fewer than five
 * points this confidence cannot be reached: the judge then takes the smallest difference for the lower
 * end and decides on it; here it waits, which spares it many false rollbacks.
 */
export function mannWhitneyRule(name: string, every: number): Rule {
  return {
    name,
    looksAt: "interval",
    start: () => {
      const candidateRates = new Sample();
      const stableRates = new Sample();
      const notAbove = new NotAbove();
      return ({ candidate, stable }) => {
        candidateRates.add(candidate.bad / candidate.requests);
        stableRates.add(stable.bad / stable.requests);
        const points = candidateRates.values.length;
        if (points % every !== 0) return false;
        notAbove.update(candidateRates.values, stableRates.values);
        const ties = (candidateRates.ties + stableRates.ties) / (2 * points * (2 * points - 1));
        const deviation = Math.sqrt(((points * points) / 12) * (2 * points + 1 - ties));
        const rank = Math.ceil((points * points) / 2 - 0.5 - CRITICAL_Z * deviation);
        if (notAbove.count >= rank) return false;
        const sorted = differences(candidateRates.values, stableRates.values);
        return (sorted[rank - 1] ?? NaN) > FRACTION * Math.abs(middle(sorted));
      };
    },
  };
}
