import type { ArmCounts as Judged } from "../evidence/index.ts";
import type { AnalysisPolicy, Metric } from "../policy/index.ts";
import type { DriftTestPlan } from "./drift-test.ts";
import type { InputDriftPlan } from "./input-drift-test.ts";
import type { GatewayRate } from "./judged.ts";
import type { LatencyTestPlan } from "./latency-test.ts";
import type { RateTestPlan } from "./rate-test.ts";

/**
 * What the candidate is compared with: `live`, stable on a share of the same traffic; `paired`, stable
 * on copies of requests that the candidate answers; `absolute`, nothing, only what stable did before.
 */
export type Comparison = "live" | "paired" | "absolute";

/**
 * What the evidence of a metric can do in this watch. `propose`: nothing runs beside the candidate, so
 * that failures could as well be everybody's; stable is asked before it goes back.
 */
export type Role = "rollback" | "propose" | "hold" | "report";

/** How one metric is tested; frozen. */
export type TestPlan =
  | {
      readonly test: "rate";
      readonly source: GatewayRate | "signal" | "disagreement";
      readonly rate: RateTestPlan;
    }
  | {
      readonly test: "latency";
      readonly slower: LatencyTestPlan | null;
      /** Null: no limit. The bucket whose upper edge is the limit on the quantile. */
      readonly limit: { readonly bucket: number; readonly rate: RateTestPlan } | null;
      /**
       * Nothing is compared before the candidate has answered for so long, ms. Absent in plans stored before
       * there was such a time.
       * @default 0
       */
      readonly warmUpMs?: number;
    }
  | { readonly test: "drift"; readonly drift: DriftTestPlan }
  | { readonly test: "inputs"; readonly inputs: InputDriftPlan }
  | { readonly test: "health"; readonly failures: number }
  /** Nothing that could be tested here; why, in words. */
  | { readonly test: "none"; readonly why: string };

/** One metric of a watch; frozen. */
export interface MetricPlan {
  readonly metric: Metric;
  readonly role: Role;
  /** Share of the evidence; those of the roles `rollback` and `propose` sum to 1, others have 0. */
  readonly weight: number;
  readonly test: TestPlan;
}

/** Everything that a watch decides by, fixed when the rollout starts. Plain JSON. */
export interface AnalysisPlan {
  readonly analysis: AnalysisPolicy;
  readonly comparison: Comparison;
  /** Planned number of intervals, steps and bake together. */
  readonly horizon: number;
  readonly metrics: readonly MetricPlan[];
  /** Errors of stable alone, before the rollout. */
  readonly base: Judged;
}
