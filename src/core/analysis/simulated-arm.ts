import { drawBinomial, drawCells, type Random } from "./draw.ts";
import { sizeOf } from "./histogram.ts";
import {
  hasCompany,
  latencyBucket,
  noArmCounts,
  type ArmCounts,
  type PairCounts,
} from "./interval.ts";
import type { AnalysisPlan } from "./plan.ts";
import type { Traffic } from "./traffic.ts";

/** A cell of the latencies that the tests tell apart. */
interface Cell {
  readonly batch: string;
  /** Any bucket in it. */
  readonly bucket: number;
  readonly chance: number;
}

/** What one arm does in a simulation. */
export interface SimulatedArm {
  readonly errorRate: number;
  /** Chances sum to 1; empty: nothing is measured. */
  readonly cells: readonly Cell[];
  /** Measured runs per good request: several requests may share one. */
  readonly runs: number;
  /** Failures that stable answers instead, of those it is asked. */
  readonly answered: number | null;
}

/** Buckets that a test tells apart, by batch. */
function edgesOf(plan: AnalysisPlan, arm: "candidate" | "stable"): ReadonlyMap<string, number[]> {
  const edges = new Map<string, number[]>();
  for (const { test } of plan.metrics) {
    if (test.test !== "latency" || test.slower === null) continue;
    for (const [batch, frozen] of Object.entries(test.slower.edges)) {
      const own = frozen.map((edge) => edge[arm]);
      if (test.limit !== null) own.push(test.limit.bucket);
      edges.set(batch, [...(edges.get(batch) ?? []), ...own]);
    }
  }
  return edges;
}

/**
 * The latencies of an arm that takes `times` as long as stable did before, in as few cells as the
 * tests tell apart: they count what lies above their edges, and nothing else of it.
 */
function cellsOf(
  plan: AnalysisPlan,
  traffic: Traffic,
  { arm, times }: { readonly arm: "candidate" | "stable"; readonly times: number },
): readonly Cell[] {
  const shift = latencyBucket(times) - latencyBucket(1);
  const edges = edgesOf(plan, arm);
  const counted: { batch: string; bucket: number; size: number }[] = [];
  for (const [batch, own] of edges) {
    const rising = [...new Set(own)].toSorted((a, b) => a - b);
    const cells = [...rising, (rising.at(-1) ?? 0) + 1].map((bucket) => ({
      batch,
      bucket,
      size: 0,
    }));
    for (const [bucket, size] of traffic.latency[batch] ?? []) {
      const at = rising.findIndex((edge) => bucket + shift <= edge);
      const cell = cells.at(at);
      if (cell !== undefined) cell.size += size;
    }
    counted.push(...cells.filter(({ size }) => size > 0));
  }
  const total = counted.reduce((sum, { size }) => sum + size, 0);
  return counted.map(({ batch, bucket, size }) => ({ batch, bucket, chance: size / total }));
}

/** An arm that fails at this rate and takes so many times as long as stable did before. */
export function simulatedArm(
  plan: AnalysisPlan,
  traffic: Traffic,
  does: {
    readonly arm: "candidate" | "stable";
    readonly errorRate: number;
    readonly times: number;
    readonly answered: number | null;
  },
): SimulatedArm {
  const measured = Object.values(traffic.latency).reduce((sum, each) => sum + sizeOf(each), 0);
  return {
    errorRate: does.errorRate,
    cells: cellsOf(plan, traffic, does),
    runs: Math.min(1, measured / traffic.requests),
    answered: does.answered,
  };
}

/** Cells of runs without company, and the chance of one. */
function aloneIn({ cells }: SimulatedArm): {
  readonly cells: readonly Cell[];
  readonly chance: number;
} {
  const alone = cells.filter(({ batch }) => !hasCompany(batch));
  return { cells: alone, chance: alone.reduce((sum, cell) => sum + cell.chance, 0) };
}

/**
 * Times of so many requests that both arms answered, each as long as it takes, of those that had no
 * company at either; copies have as many rows.
 */
export function drawPairedTimes(
  random: Random,
  pairs: number,
  arms: { readonly candidate: SimulatedArm; readonly stable: SimulatedArm },
): PairCounts["latency"] {
  const latency: PairCounts["latency"] = {};
  const [candidate, stable] = [aloneIn(arms.candidate), aloneIn(arms.stable)];
  const drawn = drawCells(
    random,
    drawBinomial(random, pairs, arms.stable.runs * candidate.chance * stable.chance),
    candidate.cells.map(({ chance }) => chance / candidate.chance),
  );
  candidate.cells.forEach(({ batch, bucket }, at) => {
    const beside = stable.cells.filter((cell) => cell.batch === batch);
    const whole = beside.reduce((sum, { chance }) => sum + chance, 0);
    const chances = beside.map(({ chance }) => chance / whole);
    drawCells(random, drawn[at] ?? 0, chances).forEach((times, other) => {
      const theirs = beside[other]?.bucket;
      if (times > 0 && theirs !== undefined) (latency[batch] ??= []).push([bucket, theirs, times]);
    });
  });
  return latency;
}

/** What the arm did with so many requests. */
export function drawSimulated(random: Random, requests: number, arm: SimulatedArm): ArmCounts {
  const none = noArmCounts();
  if (requests === 0) return none;
  const errors = drawBinomial(random, requests, arm.errorRate);
  const fallback = arm.answered === null ? 0 : drawBinomial(random, errors, arm.answered);
  const latency: ArmCounts["latency"] = {};
  const measured = Math.round((requests - errors) * arm.runs);
  const drawn = drawCells(
    random,
    measured,
    arm.cells.map(({ chance }) => chance),
  );
  arm.cells.forEach(({ batch, bucket }, at) => {
    const times = drawn[at] ?? 0;
    if (times > 0) (latency[batch] ??= []).push([bucket, times]);
  });
  return {
    ...none,
    requests,
    errors,
    fallback,
    fallbackFailed: arm.answered === null ? 0 : errors - fallback,
    latency,
  };
}
