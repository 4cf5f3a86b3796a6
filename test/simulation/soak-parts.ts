/** Histories of one kind, as a soak lives them through. */
export interface Kind {
  readonly name: string;
  /** Words after the number: `1000 histories of the whole system`. */
  readonly what: string;
  readonly file: string;
  /** Of the tests of the file those that take a seed. */
  readonly tests: string;
  /** As many as `npm test` lives through; a soak takes that many, `scale` times. */
  readonly usual: number;
  /** As many as one part takes: a minute or two of one core. */
  readonly each: number;
}

/** What a soak is made of. */
export const KINDS: readonly Kind[] = [
  {
    name: "machine",
    what: "lives of the rollout machine",
    file: "test/simulation/machine.test.ts",
    tests: "no life of an endpoint",
    usual: 10_000,
    each: 100_000,
  },
  {
    name: "world",
    what: "histories of the whole system",
    file: "test/simulation/world.test.ts",
    tests: "no history of the whole system",
    usual: 250,
    each: 2_500,
  },
  {
    name: "good",
    what: "watched rollouts of a good version",
    file: "test/simulation/decisions.test.ts",
    tests: "a good version",
    usual: 60,
    each: 1_000,
  },
  {
    name: "bad",
    what: "watched rollouts of a bad version",
    file: "test/simulation/decisions.test.ts",
    tests: "a bad version",
    usual: 60,
    each: 1_000,
  },
];

/** One part of a soak: it can be run alone, again, and beside any other. */
export interface Part {
  readonly number: number;
  readonly kind: Kind;
  readonly seed: number;
  readonly runs: number;
}

/** Seeds of two parts are further apart than the histories of a part that count up from them. */
const BETWEEN_SEEDS = 1_000_003;

/**
 * The parts of a soak, numbered from 1, those of all kinds in turn: the same for the same seed and
 * scale, so that a soak that was stopped goes on with the first that is missing.
 */
export function soakParts(soak: {
  readonly seed: number;
  readonly scale: number;
  readonly kinds: readonly Kind[];
}): readonly Part[] {
  const lots = soak.kinds.flatMap((kind) => {
    const total = kind.usual * soak.scale;
    const count = Math.ceil(total / kind.each);
    return Array.from({ length: count }, (_, at) => ({
      kind,
      runs: Math.min(kind.each, total - at * kind.each),
      place: (at + 0.5) / count,
    }));
  });
  return lots
    .toSorted((one, other) => one.place - other.place)
    .map(({ kind, runs }, at) => ({
      number: at + 1,
      kind,
      runs,
      seed: (soak.seed + at * BETWEEN_SEEDS) % 2 ** 31,
    }));
}
