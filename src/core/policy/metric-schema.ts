import * as z from "zod";

import { didYouMean, nearNames } from "../errors/index.ts";
import type { Metric, MetricKind, Tolerance } from "./policy.ts";
import { duration, keyed, latency, share, type Range } from "./value.ts";

/** A metric of the file, to be given its name; null: it is off. */
export type NamedMetric = (name: string) => Metric | null;

const RATE: Range = {
  words: "more than 0% and less than 100%",
  exclusiveMinimum: 0,
  exclusiveMaximum: 1,
};
const ABSOLUTE: Range = {
  words: "0% to less than 100%",
  minimum: 0,
  exclusiveMaximum: 1,
};
const RELATIVE: Range = {
  words: "1.0 (as good as stable) to 100",
  minimum: 1,
  maximum: 100,
};
const APART: Range = { words: "0% to 100%", minimum: 0, maximum: 1 };
const SLOWDOWN: Range = { words: "0% to 10000%", minimum: 0, maximum: 100 };
const LATENCY: Range = { words: "0 to 1h", minimum: 0, maximum: 3_600_000 };

/** How much worse than stable a candidate may be; `absolute` where the file leaves it out. */
export function tolerance(
  absolute: string,
  relative = 1,
  of = "stable's rate",
): z.ZodType<Tolerance, ToleranceFile> {
  return keyed({
    absolute: share(ABSOLUTE)
      .meta({ description: `Added to ${of}` })
      .prefault(absolute),
    relative: share(RELATIVE)
      .meta({ description: `Times ${of}` })
      .prefault(relative),
  });
}

/** A tolerance as the file has it. */
export interface ToleranceFile {
  readonly absolute?: string | number | undefined;
  readonly relative?: string | number | undefined;
}

const ACTION = "What its failure leads to: rollback, hold (stop advancing and tell) or report";
const WEIGHT = "Share of the evidence, relative to the other metrics whose action is rollback";
const text = z.string().min(1).max(2_000);
const source = text
  .max(128)
  .meta({ description: "Name of a source in the server's own configuration" });

function acting(action: "rollback" | "hold" | "report") {
  return z.enum(["rollback", "hold", "report"]).meta({ description: ACTION }).prefault(action);
}

function evidence(weight: number, action: "rollback" | "hold" = "rollback") {
  return {
    weight: z
      .number("is not a weight: write a number above 0, such as 0.4")
      .gt(0, "is not a weight: write a number above 0, such as 0.4")
      .max(1_000)
      .meta({ description: WEIGHT })
      .prefault(weight),
    action: acting(action),
  };
}

function compared(absolute: string) {
  return {
    compare: z.boolean().meta({ description: "Whether to compare with stable" }).prefault(true),
    tolerance: tolerance(absolute)
      .meta({ description: "How much worse than stable the candidate may be" })
      .prefault({}),
    max: share(RATE)
      .meta({ description: "The largest acceptable rate, whatever stable does" })
      .optional(),
  };
}

interface ComparedOptions {
  readonly compare: boolean;
  readonly tolerance: Tolerance;
  readonly max?: number | undefined;
}

function comparison({ compare, tolerance: tolerated, max }: ComparedOptions) {
  return { tolerance: compare ? tolerated : null, max: max ?? null };
}

/** A metric that is a rate and nothing else. */
function comparedOnly({
  weight,
  action,
  ...options
}: ComparedOptions & Pick<Metric, "weight" | "action">) {
  return { weight, action, ...comparison(options) };
}

/** One kind of metric, under its own key (`kind:` may be left out) and under a free name. */
function metricKind<K extends MetricKind, S extends z.core.$ZodLooseShape>(
  kind: K,
  description: string,
  shape: S,
  make: (options: z.output<z.ZodObject<S>>) => Omit<Extract<Metric, { kind: K }>, "name" | "kind">,
) {
  const off = z.boolean().meta({ description: "Takes the metric out" }).prefault(false);
  // The compiler cannot see through a generic shape; `make` is checked against it where it is given.
  const named = (options: unknown): NamedMetric => {
    const taken = options as z.output<z.ZodObject<S>> & { readonly off: boolean };
    return (name) => (taken.off ? null : ({ name, kind, ...make(taken) } as unknown as Metric));
  };
  const notItself = `is not ${kind}: a metric of another kind takes a name of its own`;
  const ownKey = keyed({ kind: z.literal(kind, notItself).optional(), off, ...shape }).meta({
    description,
  });
  const freeKey = keyed({ kind: z.literal(kind), off, ...shape }).meta({ description });
  return {
    own: ownKey.transform(named),
    /** An empty key (`accuracy:`) stands for the defaults. */
    ownOrEmpty: ownKey.nullable().transform((options) => named(options ?? ownKey.parse({}))),
    free: freeKey.transform(named),
  };
}

const errorRate = metricKind(
  "errorRate",
  "5xx, timeouts, refused connections and invalid outputs",
  { ...evidence(0.4), ...compared("0.1%") },
  comparedOnly,
);
const rejected = metricKind(
  "rejected",
  "4xx of a version although the contract was kept",
  { ...evidence(0.1), ...compared("0.1%") },
  comparedOnly,
);
const validity = metricKind(
  "validity",
  "Outputs that break the signature, hold NaN or infinity; errorRate counts them too",
  { ...evidence(0.1), ...compared("0.1%") },
  comparedOnly,
);
const latencyKind = metricKind(
  "latency",
  "The version's own time, without queueing",
  {
    ...evidence(0.25),
    quantile: share(RATE)
      .meta({ description: "0.99; left out: .5, .75, .9, .95, .99 and .999 together" })
      .optional(),
    slower: share(SLOWDOWN).meta({ description: "Tolerated slowdown" }).prefault("10%"),
    atLeast: latency(LATENCY)
      .meta({ description: "A slowdown below this is tolerated too" })
      .prefault("2ms"),
    warmUp: duration(LATENCY)
      .meta({
        description:
          "Nothing is compared before the candidate has answered for so long, and 20 times",
      })
      .prefault("10s"),
    max: latency(LATENCY).meta({ description: "Limit on the quantile itself" }).optional(),
  },
  (options) => ({
    weight: options.weight,
    action: options.action,
    quantile: options.quantile ?? null,
    slower: options.slower,
    atLeastMs: options.atLeast,
    warmUpMs: options.warmUp,
    maxMs: options.max ?? null,
  }),
);
const accuracy = metricKind(
  "accuracy",
  "Share of wrong answers, by delayed labels",
  { ...evidence(0.2), ...compared("1%") },
  comparedOnly,
);
const meanError = metricKind(
  "meanError",
  "Absolute error of numeric predictions by delayed labels, as a share of `bound`",
  {
    ...evidence(0.2),
    ...compared("1%"),
    bound: z
      .number("is not a number above 0: the error at which an answer is as bad as can be")
      .gt(0, "is not a number above 0: the error at which an answer is as bad as can be")
      .meta({ description: "Errors are cut off here: as bad as can be" }),
  },
  (options) => ({
    weight: options.weight,
    action: options.action,
    ...comparison(options),
    bound: options.bound,
  }),
);
const score = metricKind(
  "score",
  "A score in [0, 1] that callers send, the higher the better; what is missing to 1 is the rate",
  { ...evidence(0.2), ...compared("1%") },
  comparedOnly,
);
const drift = metricKind(
  "drift",
  "Distribution of predictions against stable's on the same traffic",
  evidence(0.05, "hold"),
  (options) => ({ weight: options.weight, action: options.action }),
);
const inputDrift = metricKind(
  "inputDrift",
  "Distribution of inputs against a reference set: advice, never a rollback",
  {
    action: z.enum(["hold", "report"]).meta({ description: "hold or report" }).prefault("report"),
    reference: z
      .enum(["candidate", "stable"])
      .meta({
        description:
          "Whose reference set (register --reference): the candidate's, or stable's where it has none; or stable's",
      })
      .prefault("candidate"),
    tolerance: tolerance("2%", 1.25, "the set's share")
      .meta({
        description: "How much a bin's share of the inputs may differ from the set's, either way",
      })
      .prefault({}),
  },
  (options) => ({
    weight: 0,
    action: options.action,
    reference: options.reference,
    tolerance: options.tolerance,
  }),
);
const disagreement = metricKind(
  "disagreement",
  "Answers that differ from stable's on mirrored requests",
  {
    ...evidence(0.1, "hold"),
    max: share(RATE).meta({ description: "The largest acceptable share of differing answers" }),
    by: z
      .enum(["class", "value"])
      .meta({
        description:
          "class: another class, where outputs name or rank classes (else as value); value: a number beyond the tolerance, another text",
      })
      .prefault("class"),
    tolerance: keyed({
      relative: share(APART)
        .meta({ description: "Numbers this near are the same, of the larger one" })
        .prefault("5%"),
      absolute: z
        .number("is not a number from 0: by how much numbers may differ")
        .min(0, "is not a number from 0: by how much numbers may differ")
        .meta({ description: "Numbers this near are the same, whatever their size" })
        .prefault(0.000001),
    })
      .meta({ description: "How far numbers may be apart and count as the same answer" })
      .prefault({}),
  },
  (options) => ({
    weight: options.weight,
    action: options.action,
    max: options.max,
    by: options.by,
    tolerance: options.tolerance,
  }),
);
const prometheus = metricKind(
  "prometheus",
  "Two counters of a Prometheus server; {{version}} and {{revision}} stand for the arm",
  {
    ...evidence(0.2),
    ...compared("0.1%"),
    source,
    bad: text.meta({ description: "Query: how many events were bad" }),
    total: text.meta({ description: "Query: how many events there were" }),
  },
  (options) => ({
    weight: options.weight,
    action: options.action,
    ...comparison(options),
    source: options.source,
    bad: options.bad,
    total: options.total,
  }),
);
const logs = metricKind(
  "logs",
  "Error lines of an application's log",
  { ...evidence(0.1), ...compared("0.1%"), source },
  (options) => ({
    weight: options.weight,
    action: options.action,
    ...comparison(options),
    source: options.source,
  }),
);
const health = metricKind(
  "health",
  "A check; so many failures in a row act",
  {
    action: acting("rollback"),
    source,
    failures: z
      .number()
      .int()
      .min(1)
      .max(1_000)
      .meta({ description: "Consecutive failures that act" })
      .prefault(3),
  },
  (options) => ({
    weight: 0,
    action: options.action,
    source: options.source,
    failures: options.failures,
  }),
);

/** Metrics that are watched unless the file says `off: true`. */
const STANDARD = {
  errorRate: errorRate.ownOrEmpty.prefault({}),
  rejected: rejected.ownOrEmpty.prefault({}),
  latency: latencyKind.ownOrEmpty.prefault({}),
  accuracy: accuracy.ownOrEmpty.prefault({}),
  drift: drift.ownOrEmpty.prefault({}),
};

/** Metrics that are watched where the file names them. */
const OTHER = {
  validity: validity.ownOrEmpty.optional(),
  score: score.ownOrEmpty.optional(),
  meanError: meanError.own.optional(),
  disagreement: disagreement.own.optional(),
  inputDrift: inputDrift.ownOrEmpty.optional(),
  prometheus: prometheus.own.optional(),
  logs: logs.own.optional(),
  health: health.own.optional(),
};

const FREE = [
  errorRate.free,
  rejected.free,
  latencyKind.free,
  accuracy.free,
  drift.free,
  validity.free,
  score.free,
  meanError.free,
  disagreement.free,
  inputDrift.free,
  prometheus.free,
  logs.free,
  health.free,
] as const;

/** Names of the metrics that are watched unless they are off, in the order they are kept in. */
export const STANDARD_METRICS: readonly string[] = Object.keys(STANDARD);

/** Every kind of metric, in the order they are kept in. */
export const METRIC_KINDS: readonly string[] = [...STANDARD_METRICS, ...Object.keys(OTHER)];

const givenKind = z.object({ kind: z.string() });

/** Says of a metric under a free name why its kind is not known. */
function notAKind(path: readonly PropertyKey[] | undefined, metric: unknown): string {
  const given = givenKind.safeParse(metric);
  const key = given.success ? given.data.kind : String(path?.at(-2) ?? "");
  const near = didYouMean(nearNames(key, METRIC_KINDS).slice(0, 1));
  return `${key} is no kind of metric${near === undefined ? "" : ` (${near})`}; under a name of your own, \`kind:\` says which it is: ${METRIC_KINDS.join(", ")}`;
}

/** The metrics of the file by name: a kind's own key, or a free name with `kind:`. */
export const metricsSchema = z.object({ ...STANDARD, ...OTHER }).catchall(
  z.discriminatedUnion("kind", FREE, {
    error: (issue) =>
      issue.code === "invalid_union" ? notAKind(issue.path, issue.input) : undefined,
  }),
);
