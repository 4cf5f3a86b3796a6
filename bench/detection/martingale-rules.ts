import type { Rule } from "./rule.ts";

/**
 * The sequential multinomial test of Lindon and Malek (NeurIPS 2022) on the bad requests of both
 * versions: a Dirichlet prior of the given total weight at the known split, or the uniform one. The
 * test has two sides; it decides here only where the candidate has more than its share.
 */
export function dirichletRule(
  name: string,
  { alpha, concentration }: { readonly alpha: number; readonly concentration: number | "uniform" },
): Rule {
  const limit = -Math.log(alpha);
  return {
    name,
    looksAt: "bad",
    start: ({ split }) => {
      const uniform = concentration === "uniform";
      let candidateWeight = uniform ? 1 : concentration * split;
      let stableWeight = uniform ? 1 : concentration * (1 - split);
      let log = 0;
      let candidateBad = 0;
      let bad = 0;
      return ({ candidate }) => {
        const total = candidateWeight + stableWeight;
        bad += 1;
        if (candidate) {
          log += Math.log(candidateWeight / total / split);
          candidateWeight += 1;
          candidateBad += 1;
        } else {
          log += Math.log(stableWeight / total / (1 - split));
          stableWeight += 1;
        }
        return log >= limit && candidateBad > split * bad;
      };
    },
  };
}

/**
 * Wald's sequential probability ratio test of one who knows both rates and the split: the true pair
 * against the rate that both would have together. It is what no rule that has to find out can beat.
 */
export function oracleRule(name: string, alpha: number): Rule {
  const limit = -Math.log(alpha);
  return {
    name,
    looksAt: "request",
    start: ({ split, candidateRate, stableRate }) => {
      const pooled = split * candidateRate + (1 - split) * stableRate;
      const candidateBad = Math.log(candidateRate / pooled);
      const candidateGood = Math.log((1 - candidateRate) / (1 - pooled));
      const stableBad = Math.log(stableRate / pooled);
      const stableGood = Math.log((1 - stableRate) / (1 - pooled));
      let log = 0;
      return ({ candidate, bad }) => {
        if (candidate) log += bad ? candidateBad : candidateGood;
        else log += bad ? stableBad : stableGood;
        return log >= limit;
      };
    },
  };
}
