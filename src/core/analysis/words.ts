import type { Metric } from "../policy/index.ts";

const significant = (value: number, digits: number): string =>
  String(Number(value.toPrecision(digits)));

/** A fraction as people read it: `4.1 %`. */
export function percent(fraction: number): string {
  const value = fraction * 100;
  return `${significant(value, value >= 99 ? 3 : 2)} %`;
}

/** A duration as people read it: `42 ms`. */
export const milliseconds = (ms: number): string => `${significant(ms, 3)} ms`;

/** A whole number in groups of three: `20 000`. */
export function grouped(value: number): string {
  return Math.round(value)
    .toFixed(0)
    .replaceAll(/\B(?=(\d{3})+$)/g, " ");
}

/** Beyond it the number of zeros says nothing more. */
const RAREST = 1e12;

/** How often chance alone would bring so much evidence: `1 in 20 000 by chance`. */
export function chanceWords(maxLogE: number): string {
  if (maxLogE < Math.log(10)) return "no more than chance explains";
  if (maxLogE > Math.log(RAREST)) return `less than 1 in ${grouped(RAREST)} by chance`;
  return `1 in ${grouped(Number(Math.exp(maxLogE).toPrecision(2)))} by chance`;
}

/** A quantile as people call it: `p99`, `median`. */
export function quantileWords(quantile: number): string {
  return quantile === 0.5 ? "median" : `p${significant(quantile * 100, 4)}`;
}

/** A rate of a metric as people call it. */
export function rateWords(metric: Metric, rate: number): string {
  switch (metric.kind) {
    case "errorRate":
      return `${percent(rate)} errors`;
    case "rejected":
      return `${percent(rate)} rejected`;
    case "validity":
      return `${percent(rate)} invalid outputs`;
    case "accuracy":
      return `${percent(rate)} wrong`;
    case "meanError":
      return `mean error ${significant(rate * metric.bound, 3)}`;
    case "score":
      return `score ${significant(1 - rate, 3)}`;
    case "disagreement":
      return `${percent(rate)} of answers differ from stable's`;
    case "latency":
      return `${percent(rate)} slow`;
    case "drift":
    case "inputDrift":
      return percent(rate);
    case "prometheus":
    case "logs":
    case "health":
      return `${percent(rate)} bad`;
  }
}

/** How long, as people say it: `6 min`. */
export function durationWords(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
