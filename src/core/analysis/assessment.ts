import * as z from "zod";

const rateSchema = z.object({
  observations: z.number(),
  bad: z.number(),
  /** `bad / observations`; null while there is nothing. */
  rate: z.number().nullable(),
});

/** What the evidence says of one metric. `logE` is natural; acting needs `weight * e >= 1 / alpha`. */
const metricAssessmentSchema = z.object({
  name: z.string(),
  kind: z.string(),
  verdict: z.enum(["pass", "fail", "inconclusive"]),
  action: z.enum(["rollback", "hold", "report"]),
  /** Share of the evidence, normalised over the metrics that act; 0 for one that does not. */
  weight: z.number(),
  logE: z.number(),
  /** `logE` at which this metric alone acts. */
  threshold: z.number(),
  alwaysValidP: z.number(),
  /** Evidence that it is within the margin; null where it is not tested. */
  logPromote: z.number().nullable(),
  candidate: rateSchema,
  stable: rateSchema,
  /** For latency: the quantile of each arm, ms; else null. */
  quantiles: z
    .object({ candidate: z.number().nullable(), stable: z.number().nullable(), at: z.number() })
    .nullable(),
  /** Limits of the candidate's rate that hold at every look; null while there is nothing. */
  confidence: z.object({ low: z.number(), high: z.number() }).nullable(),
  dispersion: z.number(),
  /** The smallest bad rate of the candidate that the rest of the watch would see, or null. */
  detectable: z.number().nullable(),
  /** For drift of inputs: the features with the most evidence, the most first. */
  features: z
    .array(
      z.object({
        name: z.string(),
        /** The bin whose share differs most, in words. */
        bin: z.string(),
        live: z.number(),
        reference: z.number(),
        /** Population stability index: an effect size, no test. */
        psi: z.number(),
        logE: z.number(),
        shifted: z.boolean(),
      }),
    )
    .optional(),
  /** In words: `4.1 % errors, stable 0.5 %: 1 in 20 000 by chance`. */
  words: z.string(),
});

/** What the evidence says of one metric. */
export type MetricAssessment = z.infer<typeof metricAssessmentSchema>;

/** What the evidence says of a rollout. */
export const assessmentSchema = z.object({
  decision: z.enum(["continue", "hold", "rollback", "promote"]),
  /** In words, for people. */
  why: z.string(),
  /** Metrics that made the decision. */
  blamed: z.array(z.string()),
  /** `ok`: comparable; `outage`: both arms fail alike; `broken`: a source or the split is; `silent`: no data. */
  source: z.enum(["ok", "outage", "broken", "silent"]),
  /** Of the weighted average over the metrics that act. */
  logE: z.number(),
  /** `logE` at which it goes back: ln(1 / alpha). */
  threshold: z.number(),
  metrics: z.array(metricAssessmentSchema),
  /** Intervals evaluated, and how many were planned. */
  intervals: z.number().int(),
  horizon: z.number().int(),
  /** Requests assigned to each arm so far, over the whole watch. */
  requests: z.object({ candidate: z.number(), stable: z.number() }),
  gaps: z.number().int(),
});

/** What the evidence says of a rollout. */
export type Assessment = z.infer<typeof assessmentSchema>;
