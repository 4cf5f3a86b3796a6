import type { ArmCounts } from "../../src/core/evidence/index.ts";
import type { Rule } from "./rule.ts";

function isBelow({ requests, bad }: ArmCounts, successRate: number): boolean {
  return requests > 0 && 1 - bad / requests < successRate;
}

/** Intervals in which the canary succeeds less often than that are counted, in a row or not. */
function failedMeasurements(name: string, successRate: number, most: number): Rule {
  return {
    name,
    looksAt: "interval",
    start: () => {
      let failed = 0;
      return ({ candidate }) => {
        if (isBelow(candidate, successRate)) failed += 1;
        return failed > most;
      };
    },
  };
}

/**
 * Argo Rollouts: a measurement of the canary's success rate each interval; the analysis fails, and the
 * rollout is aborted, once more measurements than `failureLimit` have failed.
 */
export function argoRule(name: string, successRate: number, failureLimit: number): Rule {
  return failedMeasurements(name, successRate, failureLimit);
}

/**
 * Flagger: a check of the canary's success rate each interval; rolled back once `threshold` checks have
 * failed. The rollback of the real one comes with the next check; here at once.
 */
export function flaggerRule(name: string, successRate: number, threshold: number): Rule {
  return failedMeasurements(name, successRate, threshold - 1);
}

/** The pooled z test of two proportions, one-sided, on all counts so far, looked at each interval. */
export function peekedZRule(name: string, criticalZ: number): Rule {
  return {
    name,
    looksAt: "interval",
    start: () => {
      let [nC, yC, nB, yB] = [0, 0, 0, 0];
      return ({ candidate, stable }) => {
        nC += candidate.requests;
        yC += candidate.bad;
        nB += stable.requests;
        yB += stable.bad;
        const pooled = (yC + yB) / (nC + nB);
        const error = Math.sqrt(pooled * (1 - pooled) * (1 / nC + 1 / nB));
        return (yC / nC - yB / nB) / error > criticalZ;
      };
    },
  };
}
