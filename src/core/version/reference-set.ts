import * as z from "zod";

import type { Tensor } from "../tensor/index.ts";
import { halfToNumber } from "./golden.ts";
import { digestSchema } from "./name-schema.ts";

/** Features that are summarised; further ones are left out, and counted. */
export const MOST_FEATURES = 64;
/** Fewer rows tell nothing of a distribution. */
export const LEAST_REFERENCE_ROWS = 200;
/** A feature with no more distinct values is one of categories; of others so many texts are told apart. */
const MOST_CATEGORIES = 20;
/** Numbers are cut at so many quantiles of the reference set. */
const QUANTILE_BINS = 10;
/** A longer text is told apart from none: it is no category. */
const LONGEST_CATEGORY = 64;

/** Where one feature lies in the inputs, and how its values are told apart. */
export const featureBinsSchema = z.object({
  /** Name of the input. */
  input: z.string(),
  /** Place in a row of it. */
  element: z.number().int().nonnegative(),
  bins: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("number"),
      /**
       * Rising, the smallest and the largest value of the reference set at its ends: below the first,
       * up to and with each of the others, above the last, no number. A first edge that is there twice
       * is a bin of its own.
       */
      edges: z.array(z.number()).min(2).max(64),
    }),
    z.object({
      kind: z.literal("category"),
      /** Each its own bin, then any other, then no number. */
      values: z.array(z.union([z.number(), z.string().max(LONGEST_CATEGORY)])).max(MOST_CATEGORIES),
    }),
  ]),
});

/** Where one feature lies in the inputs, and how its values are told apart. */
export type FeatureBins = z.infer<typeof featureBinsSchema>;

/** What the inputs of a model are expected to look like, feature by feature. */
export const referenceSetSchema = z.object({
  /** Of the file that it was made of. */
  digest: digestSchema,
  rows: z.number().int().positive(),
  features: z
    .array(
      featureBinsSchema.extend({
        /** As people call it: a column, `amount`, or `features[3]`. */
        name: z.string(),
        /** How many rows fell into each bin. */
        counts: z.array(z.number().int().nonnegative()),
      }),
    )
    .max(MOST_FEATURES),
  /** Features that were not summarised, beyond the first 64. */
  leftOut: z.number().int().nonnegative(),
});

/** What the inputs of a model are expected to look like, feature by feature. */
export type ReferenceSet = z.infer<typeof referenceSetSchema>;

type Bins = FeatureBins["bins"];
type Value = number | string;

/** How many bins a feature has. */
export function binCount(bins: Bins): number {
  return bins.kind === "number" ? bins.edges.length + 2 : bins.values.length + 2;
}

const significant = (value: number): string => String(Number(value.toPrecision(4)));

/** What a bin of a feature holds, in words. */
export function binLabel(bins: Bins, bin: number): string {
  if (bin === binCount(bins) - 1) return "missing";
  if (bins.kind === "category") {
    const value = bins.values[bin];
    if (value === undefined) return "any other value";
    return typeof value === "number" ? significant(value) : JSON.stringify(value);
  }
  const { edges } = bins;
  const [from, to] = [edges[bin - 1], edges[bin]];
  if (from === undefined) return `below ${significant(to ?? Number.NaN)}`;
  if (to === undefined) return `above ${significant(from)}`;
  return from === to ? significant(to) : `${significant(from)} to ${significant(to)}`;
}

/** One element of a tensor as features have it. */
export function featureValue({ dtype, data }: Tensor, at: number): Value {
  const value = data[at];
  if (typeof value === "string") return value;
  if (value === undefined) return Number.NaN;
  return dtype === "FP16" ? halfToNumber(Number(value)) : Number(value);
}

/** The bin of a number between edges. */
function binBetween(edges: readonly number[], value: number): number {
  if (Number.isNaN(value)) return edges.length + 1;
  if (value < (edges[0] ?? value)) return 0;
  let low = 1;
  let high = edges.length;
  // The first edge that is not below it.
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((edges[middle] ?? Infinity) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A function that tells the bin of a value. */
export function binning(bins: Bins): (value: Value) => number {
  if (bins.kind === "number") {
    const { edges } = bins;
    return (value) => (typeof value === "number" ? binBetween(edges, value) : edges.length + 1);
  }
  const places = new Map<Value, number>(bins.values.map((value, at) => [value, at]));
  const other = bins.values.length;
  return (value) => {
    if (typeof value === "number" && Number.isNaN(value)) return other + 1;
    return places.get(value) ?? other;
  };
}

/** Edges at the quantiles; a value that many rows share is a bin of its own. */
function quantileEdges(sorted: readonly number[]): number[] {
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const most = sorted.length / QUANTILE_BINS;
  const first = at(0);
  const inner = new Set<number>([at(sorted.length - 1)]);
  for (let bin = 1; bin < QUANTILE_BINS; bin += 1)
    inner.add(at(Math.max(0, Math.ceil(bin * most) - 1)));
  let twice = false;
  for (let from = 0, to = 0; from < sorted.length; from = to) {
    while (to < sorted.length && at(to) === at(from)) to += 1;
    if (to - from <= most) continue;
    inner.add(at(from));
    if (from === 0) twice = true;
    else inner.add(at(from - 1));
  }
  inner.delete(first);
  return [first, ...(twice ? [first] : []), ...[...inner].toSorted((a, b) => a - b)];
}

function categoriesOf(counts: ReadonlyMap<Value, number>): Value[] {
  return [...counts]
    .filter(([value]) => typeof value === "number" || value.length <= LONGEST_CATEGORY)
    .toSorted(([a, timesA], [b, timesB]) => timesB - timesA || (a < b ? -1 : 1))
    .slice(0, MOST_CATEGORIES)
    .map(([value]) => value);
}

/** Infinity is no edge and no category: it lies beyond the ends, or with the others. */
function binsOf(values: readonly Value[]): Bins {
  const counts = new Map<Value, number>();
  let isText = false;
  for (const value of values) {
    if (typeof value === "string") isText = true;
    else if (!Number.isFinite(value)) continue;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  if (isText || counts.size <= MOST_CATEGORIES)
    return { kind: "category", values: categoriesOf(counts) };
  const numbers = values.filter(
    (value): value is number => typeof value === "number" && Number.isFinite(value),
  );
  return { kind: "number", edges: quantileEdges(numbers.toSorted((a, b) => a - b)) };
}

/**
 * What the rows of the inputs look like, feature by feature: quantile bins of numbers, the most
 * frequent categories, what is missing. `columns` are the names of an only input's elements.
 */
export function summariseInputs(
  digest: ReferenceSet["digest"],
  inputs: readonly Tensor[],
  columns: readonly string[] | null,
): ReferenceSet {
  const rows = Math.min(...inputs.map(({ shape }) => shape[0] ?? 1));
  const features: ReferenceSet["features"] = [];
  let leftOut = 0;
  for (const input of inputs) {
    const width = input.data.length / (input.shape[0] ?? 1);
    for (let element = 0; element < width; element += 1) {
      if (features.length >= MOST_FEATURES) {
        leftOut += 1;
        continue;
      }
      const values = Array.from({ length: rows }, (_, row) =>
        featureValue(input, row * width + element),
      );
      const bins = binsOf(values);
      const counts = Array.from({ length: binCount(bins) }, () => 0);
      const binOf = binning(bins);
      for (const value of values) {
        const bin = binOf(value);
        counts[bin] = (counts[bin] ?? 0) + 1;
      }
      const own = width === 1 ? input.name : `${input.name}[${element}]`;
      const name = inputs.length === 1 ? (columns?.[element] ?? own) : own;
      features.push({ name: name.slice(0, 100), input: input.name, element, bins, counts });
    }
  }
  return { digest, rows, features, leftOut };
}
