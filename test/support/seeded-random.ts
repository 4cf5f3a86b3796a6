// What simulations of the product draw with.
export { drawBinomial, seededRandom } from "../../src/core/analysis/draw.ts";

/** How many trials fail before the first success, each succeeding with probability `p` above 0. */
export function drawGap(random: () => number, p: number): number {
  return p >= 1 ? 0 : Math.floor(Math.log1p(-random()) / Math.log1p(-p));
}
