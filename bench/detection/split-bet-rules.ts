/** The rules of lastgood, made of the very functions that decide in production. */
import {
  addIncrements,
  logE,
  splitBet,
  startEProcess,
  type EProcess,
} from "../../src/core/evidence/index.ts";
import type { Rule } from "./rule.ts";

/** E-values sum to at most the largest bet's wealth, which is quicker to look at. */
function reaches(state: EProcess, limit: number): boolean {
  return Math.max(...state.logWealth) >= limit && logE(state) >= limit;
}

/** SplitBet with the split known and nothing tolerated: looked at after each bad request. */
export function knownSplitRule(name: string, alpha: number): Rule {
  const limit = -Math.log(alpha);
  const none = { requests: 0, bad: 0 };
  const one = { requests: 1, bad: 1 };
  return {
    name,
    looksAt: "bad",
    start: ({ split }) => {
      const settings = { relative: 1, absolute: 0, centre: 0, knownSplit: split };
      const byCandidate = splitBet({ candidate: one, stable: none }, settings);
      const byStable = splitBet({ candidate: none, stable: one }, settings);
      let state = startEProcess({ bets: "regression", horizon: null });
      return ({ candidate }) => {
        state = addIncrements(state, candidate ? byCandidate : byStable);
        return reaches(state, limit);
      };
    },
  };
}

/** SplitBet on the split that came about, flushed every 100 requests. */
export function flushedRule(
  name: string,
  {
    alpha,
    absolute,
    horizon,
  }: { readonly alpha: number; readonly absolute: number; readonly horizon: number | null },
): Rule {
  const limit = -Math.log(alpha);
  const settings = { relative: 1, absolute, centre: 0 };
  // A flush of 100 requests has few outcomes: each is computed once.
  const computed = new Map<number, readonly number[]>();
  return {
    name,
    looksAt: "flush",
    start: () => {
      let state = startEProcess({ bets: "regression", horizon });
      return (counts) => {
        const { candidate, stable } = counts;
        const key = (candidate.requests * 1_000 + candidate.bad) * 1_000 + stable.bad;
        let increments = computed.get(key);
        if (increments === undefined) {
          increments = splitBet(counts, settings);
          computed.set(key, increments);
        }
        state = addIncrements(state, increments);
        return reaches(state, limit);
      };
    },
  };
}
