/**
 * Sums of numbers known by their natural logarithm, shifted by the largest so that nothing overflows.
 * The sum of nothing is 0, whose logarithm is -Infinity.
 */
export function logSumExp(logs: readonly number[]): number {
  let largest = -Infinity;
  for (const log of logs) if (log > largest) largest = log;
  if (largest === -Infinity) return largest;
  let sum = 0;
  for (const log of logs) sum += Math.exp(log - largest);
  return largest + Math.log(sum);
}

/** ln(exp(a) + exp(b)) for finite a and b. */
export function logAddExp(a: number, b: number): number {
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** count * log, where no count of an impossible outcome is 0. */
export function times(count: number, log: number): number {
  return count === 0 ? 0 : count * log;
}

/** count * ln(1 + gain): most counts are 0, and their logarithms are not taken. */
export function timesLog1p(count: number, gain: number): number {
  return count === 0 ? 0 : count * Math.log1p(gain);
}

/** From here on five terms of the asymptotic series are exact to the last digit of a double. */
const SERIES_FROM = 15;

/**
 * What Stirling's formula lacks: ln Gamma(x) - ((x - 1/2) ln x - x + ln(2 pi) / 2), for x > 0.
 * Logarithms of Beta functions written with it lose nothing to cancellation at large counts.
 */
export function stirlingError(x: number): number {
  let at = x;
  let error = 0;
  for (; at < SERIES_FROM; at += 1) error += (at + 0.5) * Math.log1p(1 / at) - 1;
  const square = 1 / (at * at);
  const series =
    1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)));
  return error + series / at;
}
