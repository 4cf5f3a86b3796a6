/** Random numbers that anybody can draw again: the same seed, the same numbers. */
export type Random = () => number;

/** Uniform numbers in [0, 1) from a seed of 32 bits (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** From this mean on rejection is faster than counting up. */
const MANY = 10;

function byInversion(random: Random, trials: number, p: number): number {
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

/** ln of k factorial, short of Stirling's leading terms. */
function stirlingTail(k: number): number {
  const inverse = 1 / (k + 1);
  const square = inverse * inverse;
  return inverse * (1 / 12 - square * (1 / 360 - square / 1260));
}

/** Transformed rejection (Hörmann 1993, algorithm BTRS); exact, for `trials * p >= 10` and `p <= 0.5`. */
function byRejection(random: Random, trials: number, p: number): number {
  const deviation = Math.sqrt(trials * p * (1 - p));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const c = trials * p + 0.5;
  const vr = 0.92 - 4.2 / b;
  const alpha = (2.83 + 5.1 / b) * deviation;
  const odds = p / (1 - p);
  const mode = Math.floor((trials + 1) * p);
  for (;;) {
    const u = random() - 0.5;
    const v = random();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + c);
    if (k < 0 || k > trials) continue;
    if (us >= 0.07 && v <= vr) return k;
    const bound = Math.log((v * alpha) / (a / (us * us) + b));
    const exact =
      (mode + 0.5) * Math.log((mode + 1) / (odds * (trials - mode + 1))) +
      (trials + 1) * Math.log((trials - mode + 1) / (trials - k + 1)) +
      (k + 0.5) * Math.log((odds * (trials - k + 1)) / (k + 1)) +
      stirlingTail(mode) +
      stirlingTail(trials - mode) -
      stirlingTail(k) -
      stirlingTail(trials - k);
    if (bound <= exact) return k;
  }
}

/** How many of `trials` succeed, each with probability `p`. */
export function drawBinomial(random: Random, trials: number, p: number): number {
  if (trials === 0 || p <= 0) return 0;
  if (p >= 1) return trials;
  if (p > 0.5) return trials - drawBinomial(random, trials, 1 - p);
  return trials * p < MANY ? byInversion(random, trials, p) : byRejection(random, trials, p);
}

/** How `trials` fall into cells with these chances, which sum to 1. */
export function drawCells(
  random: Random,
  trials: number,
  chances: readonly number[],
): readonly number[] {
  let left = trials;
  let mass = 1;
  return chances.map((chance, at) => {
    if (left === 0) return 0;
    const isLast = at === chances.length - 1;
    const times = isLast ? left : drawBinomial(random, left, mass <= 0 ? 0 : chance / mass);
    left -= times;
    mass -= chance;
    return times;
  });
}
