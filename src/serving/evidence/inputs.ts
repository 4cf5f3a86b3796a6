import type { Tensor } from "../../core/tensor/index.ts";
import { binCount, binning, featureValue, type FeatureBins } from "../../core/version/index.ts";

/** Units of an arm whose inputs are looked at in one window of one worker: a sample is enough. */
export const MOST_SAMPLED = 100;

/** Tells into which bins of a reference set the inputs of a request fall. */
export class InputBinner {
  readonly #features: readonly {
    readonly input: string;
    readonly element: number;
    readonly binOf: (value: number | string) => number;
  }[];
  readonly #sizes: readonly number[];

  constructor(features: readonly FeatureBins[]) {
    this.#features = features.map(({ input, element, bins }) => ({
      input,
      element,
      binOf: binning(bins),
    }));
    this.#sizes = features.map(({ bins }) => binCount(bins));
  }

  /** Nothing counted yet, by feature and bin. */
  empty(): number[][] {
    return this.#sizes.map((size) => Array.from({ length: size }, () => 0));
  }

  /** Counts the first row of the inputs. */
  add(counts: readonly number[][], inputs: readonly Tensor[]): void {
    let tensor: Tensor | undefined;
    for (const [at, { input, element, binOf }] of this.#features.entries()) {
      // Features of one input follow each other.
      if (tensor?.name !== input) tensor = inputs.find(({ name }) => name === input);
      const bins = counts[at];
      if (bins === undefined || tensor === undefined) continue;
      const bin = binOf(featureValue(tensor, element));
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
  }
}
