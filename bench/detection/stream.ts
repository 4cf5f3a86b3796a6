import type { ArmCounts, SplitCounts } from "../../src/core/evidence/index.ts";
import { LOOK_EVERY, type Request, type Rule, type World } from "./rule.ts";

const WARM_UP = 20;
const NO_COUNTS: ArmCounts = { requests: 0, bad: 0 };

/** Whole numbers below 2^32 from three seeds (sfc32): the same seeds, the same numbers. */
export class SeededIntegers {
  readonly #state: Int32Array;

  constructor(one: number, two: number, three: number) {
    this.#state = Int32Array.of(one, two, three, 1);
    this.draw(new Uint32Array(WARM_UP));
  }

  /** Draws as many as there is room for. */
  draw(numbers: Uint32Array): void {
    let [a = 0, b = 0, c = 0, counter = 0] = this.#state;
    for (let index = 0; index < numbers.length; index += 1) {
      const sum = (((a + b) | 0) + counter) | 0;
      counter = (counter + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + sum) | 0;
      numbers[index] = sum;
    }
    this.#state.set([a, b, c, counter]);
  }
}

/** When a rule decided on a rollback. */
export interface Alarm {
  /** Requests of both versions until then. */
  readonly requests: number;
  /** Bad answers that the candidate had given until then. */
  readonly candidateBad: number;
}

function together(one: ArmCounts, other: ArmCounts): ArmCounts {
  return { requests: one.requests + other.requests, bad: one.bad + other.bad };
}

/** Rules that are still undecided. */
class Watchers<Seen> {
  readonly #watching: { readonly rule: number; readonly sees: (seen: Seen) => boolean }[] = [];

  add(rule: number, sees: (seen: Seen) => boolean): void {
    this.#watching.push({ rule, sees });
  }

  get size(): number {
    return this.#watching.length;
  }

  /** Shows them what happened and tells which of them decide on it. */
  show(decided: (rule: number) => void, seen: Seen): void {
    for (let index = this.#watching.length - 1; index >= 0; index -= 1) {
      const watcher = this.#watching[index];
      if (watcher === undefined || !watcher.sees(seen)) continue;
      decided(watcher.rule);
      this.#watching.splice(index, 1);
    }
  }
}

/** The four kinds of requests, made once. */
const CANDIDATE: readonly [Request, Request] = [
  { candidate: true, bad: false },
  { candidate: true, bad: true },
];
const STABLE: readonly [Request, Request] = [
  { candidate: false, bad: false },
  { candidate: false, bad: true },
];

/** Bounds of what is drawn, and what it means: the candidate's bad requests, its good ones, and so on. */
interface Bounds {
  readonly candidateBad: number;
  readonly candidate: number;
  readonly stableBad: number;
}

function boundsOf({ split, candidateRate, stableRate }: World): Bounds {
  const candidate = split * 2 ** 32;
  return {
    candidateBad: candidate * candidateRate,
    candidate,
    stableBad: candidate + (2 ** 32 - candidate) * stableRate,
  };
}

/** A simulated rollout under the eyes of all rules. */
export class Rollout {
  readonly alarms: (Alarm | null)[];
  requests = 0;
  readonly #request = new Watchers<Request>();
  readonly #bad = new Watchers<Request>();
  readonly #flush = new Watchers<SplitCounts>();
  readonly #interval = new Watchers<SplitCounts>();
  readonly #bounds: Bounds;
  #candidateBad = 0;
  #candidate = NO_COUNTS;
  #stable = NO_COUNTS;
  readonly #decided = (rule: number): void => {
    this.alarms[rule] = { requests: this.requests, candidateBad: this.#candidateBad };
  };

  constructor(world: World, rules: readonly Rule[]) {
    this.alarms = rules.map(() => null);
    this.#bounds = boundsOf(world);
    rules.forEach((rule, index) => {
      if (rule.looksAt === "request") this.#request.add(index, rule.start(world));
      else if (rule.looksAt === "bad") this.#bad.add(index, rule.start(world));
      else if (rule.looksAt === "flush") this.#flush.add(index, rule.start(world));
      else this.#interval.add(index, rule.start(world));
    });
  }

  get decided(): boolean {
    const { size } = this.#request;
    return size + this.#bad.size + this.#flush.size + this.#interval.size === 0;
  }

  /** The next requests, as many as are flushed at once; gives their counts. */
  go(numbers: Uint32Array): SplitCounts {
    const counts = this.#answer(numbers);
    this.#flush.show(this.#decided, counts);
    this.#candidate = together(this.#candidate, counts.candidate);
    this.#stable = together(this.#stable, counts.stable);
    if (this.requests % LOOK_EVERY.interval !== 0) return counts;
    this.#interval.show(this.#decided, { candidate: this.#candidate, stable: this.#stable });
    this.#candidate = this.#stable = NO_COUNTS;
    return counts;
  }

  #answer(numbers: Uint32Array): SplitCounts {
    const before = this.requests;
    const { candidateBad, candidate, stableBad } = this.#bounds;
    let [nC, yC, yB] = [0, 0, 0];
    for (let index = 0; index < numbers.length; index += 1) {
      const drawn = numbers[index] ?? 0;
      const isCandidate = drawn < candidate;
      const bad = isCandidate ? drawn < candidateBad : drawn < stableBad;
      if (isCandidate) nC += 1;
      if (!bad && this.#request.size === 0) continue;
      this.requests = before + index + 1;
      if (bad) {
        if (isCandidate) yC += 1;
        else yB += 1;
        this.#candidateBad += isCandidate ? 1 : 0;
        this.#bad.show(this.#decided, isCandidate ? CANDIDATE[1] : STABLE[1]);
      }
      this.#request.show(this.#decided, (isCandidate ? CANDIDATE : STABLE)[bad ? 1 : 0]);
    }
    this.requests = before + numbers.length;
    return {
      candidate: { requests: nC, bad: yC },
      stable: { requests: numbers.length - nC, bad: yB },
    };
  }
}

/** One simulated rollout: when each rule decided, or null. */
export function simulate(
  world: World,
  rules: readonly Rule[],
  horizon: number,
  integers: SeededIntegers,
): readonly (Alarm | null)[] {
  const rollout = new Rollout(world, rules);
  const numbers = new Uint32Array(LOOK_EVERY.flush);
  while (rollout.requests < horizon && !rollout.decided) {
    integers.draw(numbers);
    rollout.go(numbers);
  }
  return rollout.alarms;
}
