import * as z from "zod";

/** By source: its newest split by its own number, and the one that it is in the watch. */
export const splitNumbersSchema = z
  .array(z.tuple([z.string().max(1_000), z.number().int(), z.number().int()]))
  .max(1_000);

/** A split of a watch. */
export interface NumberedSplit {
  readonly split: number;
  /** ms since 1970: when it began. */
  readonly from: number;
}

/**
 * Numbers for the splits of one watch. Each gateway process counts its own from 1, so that a number
 * alone says neither which split it is nor when it was: one that is taken is followed by the next that
 * is free. Those of a watch that one process told of are its own.
 */
export class SplitNumbers {
  readonly #bySource: Map<string, readonly [number: number, split: number]>;
  readonly #began = new Map<number, number>();
  #newest: NumberedSplit;
  #highest: number;

  /** `known`: what another left. */
  constructor(known?: {
    readonly newest: NumberedSplit;
    readonly bySource: z.infer<typeof splitNumbersSchema>;
  }) {
    this.#newest = known?.newest ?? { split: 0, from: -Infinity };
    const taken = known?.bySource ?? [];
    this.#bySource = new Map(taken.map(([source, number, split]) => [source, [number, split]]));
    this.#highest = Math.max(this.#newest.split - 1, ...taken.map(([, , split]) => split));
  }

  /** The split of the watch that a source's own number stands for, in the order of its records. */
  of(source: string, number: number, from: number): number {
    const known = this.#bySource.get(source);
    if (known?.[0] === number) return known[1];
    const split = number > this.#highest ? number : this.#highest + 1;
    this.#highest = split;
    this.#bySource.set(source, [number, split]);
    this.#began.set(split, from);
    if (from >= this.#newest.from) this.#newest = { split, from };
    return split;
  }

  /** The one that began last; 0 before the first. */
  get newest(): NumberedSplit {
    return this.#newest;
  }

  /** Those that were numbered here, by rising time. */
  get all(): readonly NumberedSplit[] {
    const splits = [...this.#began].map(([split, from]) => ({ split, from }));
    return splits.toSorted((a, b) => a.from - b.from || a.split - b.split);
  }

  /** What another goes on with. */
  get bySource(): z.infer<typeof splitNumbersSchema> {
    return [...this.#bySource].map(([source, [number, split]]) => [source, number, split]);
  }
}
