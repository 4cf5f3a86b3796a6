import type { Environment } from "../endpoint/index.ts";
import type { EndpointName, ModelName } from "../version/index.ts";

/** When a step of a rollout is over: both, not either. */
export interface Until {
  /** Requests that the candidate has been assigned (mirrored, in a mirror step) in the step. */
  readonly requests: number;
  readonly timeMs: number;
}

/** One step of a canary, or one before a blue/green switch. */
export type RolloutStep =
  /** The candidate carries this share. */
  | { readonly kind: "weight"; readonly percent: number; readonly until: Until }
  /** This share of what stable answers is also sent to the candidate, whose answers nobody sees. */
  | { readonly kind: "mirror"; readonly percent: number; readonly until: Until }
  /** Nothing advances; null: until a person promotes or resumes. */
  | { readonly kind: "pause"; readonly forMs: number | null }
  /** Goes on once the evidence says that the candidate is within tolerance, or at its end. */
  | { readonly kind: "analysis"; readonly until: Until };

/** How a candidate takes over, under a policy. */
export type RolloutPlan =
  | { readonly strategy: "canary"; readonly steps: readonly RolloutStep[] }
  | {
      readonly strategy: "blueGreen";
      readonly steps: readonly RolloutStep[];
      /** `manual`: loaded, reachable at its version's address, until a person promotes. */
      readonly promotion: "automatic" | "manual";
    }
  | { readonly strategy: "recreate" };

/** What a metric's failure leads to. */
export type MetricAction = "rollback" | "hold" | "report";

/** How much worse than stable a candidate may be: `rate <= relative * stable + absolute`. */
export interface Tolerance {
  /** A fraction in [0, 1). */
  readonly absolute: number;
  /** At least 1. */
  readonly relative: number;
}

interface MetricBase {
  /** Unique in the policy: `errorRate`, or the name a person gave. */
  readonly name: string;
  /** Share of the evidence before it is normalised over the metrics that act; 0 where none is weighed. */
  readonly weight: number;
  readonly action: MetricAction;
}

/** Compared with the stable version, or with a limit, or both. */
interface Compared {
  /** Null: not compared with stable. */
  readonly tolerance: Tolerance | null;
  /** Null: no limit. The largest acceptable rate, a fraction in (0, 1). */
  readonly max: number | null;
}

/** One watched metric. */
export type Metric =
  /** 5xx, timeouts, refused connections and invalid outputs of what the split assigned. */
  | (MetricBase & Compared & { readonly kind: "errorRate" })
  /** 4xx of `process` and `remote` versions. */
  | (MetricBase & Compared & { readonly kind: "rejected" })
  /** Outputs that break the signature, hold NaN or infinity. */
  | (MetricBase & Compared & { readonly kind: "validity" })
  /** The version's own time. */
  | (MetricBase & {
      readonly kind: "latency";
      /** In (0, 1); null: at .5, .75, .9, .95, .99 and .999. */
      readonly quantile: number | null;
      /** Tolerated slowdown, a fraction, and at least so many ms. */
      readonly slower: number;
      readonly atLeastMs: number;
      /**
       * Nothing is compared before the candidate has answered for so long. Absent in policies stored before
       * there was such a time.
       * @default 0
       */
      readonly warmUpMs?: number;
      /** Limit on the quantile itself, ms; null: none. */
      readonly maxMs: number | null;
    })
  /** Wrong answers by delayed labels. */
  | (MetricBase & Compared & { readonly kind: "accuracy" })
  /** Absolute error of numeric predictions by delayed labels, clipped at `bound`. */
  | (MetricBase & Compared & { readonly kind: "meanError"; readonly bound: number })
  /** A score in [0, 1] that callers send, the higher the better. */
  | (MetricBase & Compared & { readonly kind: "score" })
  /** Distribution of predicted classes or values against stable on the same traffic. */
  | (MetricBase & { readonly kind: "drift" })
  /** Distribution of inputs against a reference set: advice only. */
  | (MetricBase & {
      readonly kind: "inputDrift";
      /** Whose set: the candidate's (stable's, where it has none), or stable's. */
      readonly reference: "candidate" | "stable";
      /** What a bin's share may differ from the set's by, in either direction. */
      readonly tolerance: Tolerance;
    })
  /** Answers that differ from stable's on mirrored requests. */
  | (MetricBase & {
      readonly kind: "disagreement";
      readonly max: number;
      /** `class`: another class, where outputs name or rank classes, else as `value`: another number. */
      readonly by: "class" | "value";
      /** Of numbers: what is tolerated, as a fraction of the larger one and in all. */
      readonly tolerance: { readonly relative: number; readonly absolute: number };
    })
  /** A query whose result is a fraction of bad events, at a server named in server.yaml. */
  | (MetricBase &
      Compared & {
        readonly kind: "prometheus";
        readonly source: string;
        /** Counters of bad and of all events; `{{version}}` and `{{revision}}` stand for the arm. */
        readonly bad: string;
        readonly total: string;
      })
  /** Lines of an application log, read by a source named in server.yaml. */
  | (MetricBase & Compared & { readonly kind: "logs"; readonly source: string })
  /** A check named in server.yaml. */
  | (MetricBase & {
      readonly kind: "health";
      readonly source: string;
      /** Consecutive failures that act. */
      readonly failures: number;
    });

/** The name of a metric's kind. */
export type MetricKind = Metric["kind"];

/** How evidence is weighed; STATISTICS.md section 6. */
export interface AnalysisPolicy {
  /** Largest probability of a false rollback over the whole watch. */
  readonly alpha: number;
  /** Evidence at which the rollout stops advancing. */
  readonly holdAlpha: number;
  /** Largest probability of promoting early what is beyond the margin. */
  readonly beta: number;
  readonly margin: Tolerance;
  /** Whether to promote early once the margin is excluded. */
  readonly early: boolean;
  /** Requests of the candidate before it may be promoted early. */
  readonly minRequests: number;
  readonly flushMs: number;
  /** A request that has not ended this long after its admission is bad. */
  readonly deadlineMs: number;
  readonly dispersion: "auto" | number;
  readonly metrics: readonly Metric[];
  /** When the evidence is not enough at the deadline. */
  readonly inconclusive: {
    readonly action: "hold" | "rollback" | "promote";
    readonly deadlineMs: number;
  };
  /** When no requests arrive for so long. */
  readonly noData: { readonly action: "hold" | "rollback"; readonly afterMs: number };
}

/** What may go back by itself. */
export interface RollbackPolicy {
  readonly automatic: boolean;
  /** Whether stable answers what the candidate fails. */
  readonly fallback: boolean;
  readonly cooldownMs: number;
  readonly atMost: { readonly count: number; readonly withinMs: number };
}

/** How versions reach an endpoint and leave it again. Plain data, every default filled in. */
export interface Policy {
  readonly rollout: RolloutPlan;
  readonly bakeMs: number;
  /** In the bake: share that stays on the old revision (canary) or is mirrored to it, a fraction. */
  readonly holdback: number;
  readonly analysis: AnalysisPolicy;
  readonly rollback: RollbackPolicy;
}

/** `lastgood.yaml`: a policy and the endpoint it is for. */
export interface EndpointPolicy {
  readonly name: EndpointName;
  readonly model: ModelName;
  readonly environment: Environment | null;
  readonly policy: Policy;
}
