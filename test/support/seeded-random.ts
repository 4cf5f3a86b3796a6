// The generator that simulations of the product draw with.
export { seededRandom } from "../../src/core/analysis/draw.ts";

/** How many of `trials` succeed, each with probability `p`: by inversion, for means below some 500. */
export function drawBinomial(random: () => number, trials: number, p: number): number {
  if (p > 0.5) return trials - drawBinomial(random, trials, 1 - p);
  if (p === 0 || trials === 0) return 0;
  const odds = p / (1 - p);
  let probability = (1 - p) ** trials;
  let rest = random();
  let successes = 0;
  while (rest >= probability && successes < trials) {
    rest -= probability;
    successes += 1;
    probability *= (odds * (trials - successes + 1)) / successes;
  }
  return successes;
}

/** How many trials fail before the first success, each succeeding with probability `p` above 0. */
export function drawGap(random: () => number, p: number): number {
  return p >= 1 ? 0 : Math.floor(Math.log1p(-random()) / Math.log1p(-p));
}
