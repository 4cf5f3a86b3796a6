import { checkCount, checkRange, invalidEvidence, OPEN_UNIT } from "./counts.ts";
import { stirlingError } from "./log-space.ts";

/**
 * ln of the Dirichlet-multinomial likelihood ratio of counts against shares. Written as a divergence
 * with Stirling corrections: at large counts the plain form loses all digits to cancellation.
 */
export function logDirichletMultinomial(
  counts: readonly number[],
  shares: readonly number[],
  prior: readonly number[],
): number {
  const totalPrior = prior.reduce((sum, part) => sum + part, 0);
  const total = counts.reduce((sum, count) => sum + count, totalPrior);
  let log = 0.5 * Math.log(total / totalPrior) - stirlingError(total) + stirlingError(totalPrior);
  counts.forEach((count, arm) => {
    const share = shares[arm] ?? 0;
    const before = prior[arm] ?? 0;
    const after = before + count;
    log += after * Math.log1p((after - total * share) / (total * share));
    log -= before * Math.log1p((before - totalPrior * share) / (totalPrior * share));
    log += 0.5 * Math.log(before / after) + stirlingError(after) - stirlingError(before);
  });
  return log;
}

/**
 * Sample-ratio mismatch: natural log of the e-value against the hypothesis that requests were assigned
 * to the arms in the given shares (above 0, sum 1), from the assigned counts of each arm. It means that
 * the comparison is not valid, never that the candidate is bad. `concentration` is the prior's weight in
 * requests. Where the weights change, the values of the stages are tests of their own and their
 * logarithms add up (STATISTICS.md 6).
 * @throws `evidence.invalid` for counts or shares that cannot be.
 */
export function sampleRatioMismatch(
  assigned: readonly number[],
  shares: readonly number[],
  concentration = 10_000,
): number {
  if (assigned.length !== shares.length || assigned.length < 2)
    throw invalidEvidence(
      `${assigned.length} counts for ${shares.length} shares`,
      "each arm has a count and a share, and there are at least two",
    );
  for (const count of assigned) checkCount("assigned", count);
  for (const share of shares) checkRange("share", share, OPEN_UNIT);
  checkRange("concentration", concentration, { least: 0, most: Infinity });
  const sum = shares.reduce((before, share) => before + share, 0);
  if (Math.abs(sum - 1) > 1e-9)
    throw invalidEvidence(`the shares sum to ${sum}`, "the shares of all arms sum to 1");
  const prior = shares.map((share) => concentration * share);
  return logDirichletMultinomial(assigned, shares, prior);
}
