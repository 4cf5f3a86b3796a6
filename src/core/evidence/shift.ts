import { checkFinite, checkRange, OPEN_UNIT } from "./counts.ts";

/** An empty bin would make it infinite; no set of rows knows a share to be smaller. */
const LEAST_SHARE = 1e-4;

/**
 * The population stability index between two distributions over the same bins, from their shares: an
 * effect size to show, no test (STATISTICS.md 1.8). Shares below 0.0001 are taken as that.
 * @throws `evidence.invalid` for shares that are no finite numbers.
 */
export function populationStability(one: readonly number[], other: readonly number[]): number {
  let sum = 0;
  for (const [bin, given] of one.entries()) {
    checkFinite("a share", given);
    checkFinite("a share", other[bin] ?? 0);
    const [a, b] = [Math.max(given, LEAST_SHARE), Math.max(other[bin] ?? 0, LEAST_SHARE)];
    sum += (a - b) * Math.log(a / b);
  }
  return sum;
}

/**
 * Which of several hypotheses to reject, by their e-values, so that at most a share `q` of the rejected
 * ones is true on average, whatever the dependence (e-BH, STATISTICS.md 1.7); places, the most evidence
 * first.
 * @throws `evidence.invalid` for q outside (0, 1) and an infinite `logE`.
 */
export function rejectedByEvidence(logs: readonly number[], q: number): readonly number[] {
  checkRange("q", q, OPEN_UNIT);
  const order = logs.map((logE, at) => {
    checkFinite("logE", logE);
    return { logE, at };
  });
  order.sort((a, b) => b.logE - a.logE || a.at - b.at);
  let rejected = 0;
  order.forEach(({ logE }, place) => {
    if (logE >= Math.log(order.length / ((place + 1) * q))) rejected = place + 1;
  });
  return order.slice(0, rejected).map(({ at }) => at);
}
