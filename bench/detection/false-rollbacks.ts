/**
 * The probability of a false rollback by importance sampling: counting 1 in 2,000 needs very many runs.
 *
 * Instead of the equal candidate (P), a candidate is simulated that goes bad at a random interval to a
 * random severity (Q), and each rollback counts with the likelihood ratio dP/dQ of what was seen until
 * then. Between the bad requests nothing differs; the ratio is that of whose each bad request was, and
 * its mixture over severities and intervals is 1 / (the restarting e-process with the split known, plus
 * the part of Q that has not gone bad yet).
 */
import {
  addIncrements,
  logE,
  PRIOR_LOG_WEIGHTS,
  SEVERITIES,
  splitBet,
  startEProcess,
  type SplitCounts,
} from "../../src/core/evidence/index.ts";
import { HORIZON, OUR_RULES, STABLE_RATE } from "./cells.ts";
import { LOOK_EVERY, type World } from "./rule.ts";
import { Rollout, SeededIntegers } from "./stream.ts";

/** What a rule does to equal candidates. */
export interface FalseRollbacks {
  readonly rule: string;
  readonly split: number;
  readonly probability: number;
  readonly standardError: number;
}

const INTERVALS = HORIZON / LOOK_EVERY.flush;
const ONE = 2 ** 32;

/** Which bad requests are the candidate's: by its share, and more often from an interval on. */
interface Turn {
  readonly fromInterval: number;
  readonly candidateShare: number;
}

function drawTurn(uniform: () => number, split: number): Turn {
  let rest = uniform();
  const bet = PRIOR_LOG_WEIGHTS.findIndex((log) => (rest -= Math.exp(log)) < 0);
  const severity = SEVERITIES[bet] ?? SEVERITIES.at(-1) ?? NaN;
  return {
    fromInterval: uniform() < 0.5 ? 0 : Math.floor(uniform() * INTERVALS),
    candidateShare: (split * severity) / (split * severity + 1 - split),
  };
}

/** Requests drawn so that the bad ones are the candidate's with another share than the good ones. */
function turned(numbers: Uint32Array, share: number, { split }: World): void {
  const badBelow = STABLE_RATE * ONE;
  const candidateBelow = split * ONE;
  numbers.forEach((drawn, index) => {
    // Where in its kind the request lies, mapped to where `Rollout` looks for that kind.
    const bad = drawn < badBelow;
    const place = bad ? drawn / badBelow : (drawn - badBelow) / (ONE - badBelow);
    const candidate = place < (bad ? share : split);
    const least = candidate ? 0 : candidateBelow;
    const span = candidate ? candidateBelow : ONE - candidateBelow;
    const within = bad ? STABLE_RATE / 2 : (1 + STABLE_RATE) / 2;
    numbers[index] = least + span * within;
  });
}

/** Of one run the weight of each rule's rollback; 0 where it had none. */
function weights(world: World, integers: SeededIntegers): readonly number[] {
  const numbers = new Uint32Array(LOOK_EVERY.flush);
  const one = new Uint32Array(1);
  const turn = drawTurn(() => {
    integers.draw(one);
    return (one[0] ?? 0) / ONE;
  }, world.split);
  const settings = { relative: 1, absolute: 0, centre: 0, knownSplit: world.split };
  const rollout = new Rollout(world, OUR_RULES);
  const found = OUR_RULES.map(() => 0);
  let ratio = startEProcess({ bets: "regression", horizon: INTERVALS });
  for (let interval = 0; interval < INTERVALS && !rollout.decided; interval += 1) {
    integers.draw(numbers);
    turned(numbers, interval < turn.fromInterval ? world.split : turn.candidateShare, world);
    const counts: SplitCounts = rollout.go(numbers);
    ratio = addIncrements(ratio, splitBet(counts, settings));
    const notTurned = 0.5 * (1 - (interval + 1) / INTERVALS);
    rollout.alarms.forEach((alarm, rule) => {
      if (alarm !== null && found[rule] === 0)
        found[rule] = 1 / (Math.exp(logE(ratio)) + notTurned);
    });
  }
  return found;
}

/** The probability of a false rollback at a split, of each of lastgood's rules. */
export function falseRollbacks(
  split: number,
  runs: number,
  seed: number,
): readonly FalseRollbacks[] {
  const world = { split, candidateRate: STABLE_RATE, stableRate: STABLE_RATE };
  const all = Array.from({ length: runs }, (_, run) =>
    weights(world, new SeededIntegers(seed, Math.round(split * 1_000), run)),
  );
  return OUR_RULES.map(({ name }, rule) => {
    const values = all.map((run) => run[rule] ?? 0);
    const probability = values.reduce((sum, value) => sum + value, 0) / runs;
    const variance = values.reduce((sum, value) => sum + (value - probability) ** 2, 0) / runs;
    return { rule: name, split, probability, standardError: Math.sqrt(variance / runs) };
  });
}
