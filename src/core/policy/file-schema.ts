import * as z from "zod";

import { ENVIRONMENTS } from "../endpoint/index.ts";
import { endpointNameSchema, modelNameSchema } from "../version/index.ts";
import { metricsSchema, tolerance } from "./metric-schema.ts";
import { duration, keyed, percent, perTime, share, type Range } from "./value.ts";

const DAY = 86_400_000;
const ANY_TIME: Range = { words: "0 to 366d", minimum: 0, maximum: 366 * DAY };
const SOME_TIME: Range = { words: "1s to 366d", minimum: 1_000, maximum: 366 * DAY };
const FLUSH: Range = { words: "100ms to 60s", minimum: 100, maximum: 60_000 };
const DEADLINE: Range = { words: "100ms to 10m", minimum: 100, maximum: 600_000 };
const ERROR: Range = {
  words: "more than 0 and less than 0.5",
  exclusiveMinimum: 0,
  exclusiveMaximum: 0.5,
};
const HOLDBACK: Range = { words: "0% to 50%", minimum: 0, maximum: 0.5 };
const DISPERSION = "is not a dispersion: write auto, or a number from 1";
const requests = z
  .number("is not a number of requests")
  .int("is not a whole number of requests")
  .min(0, "is not a number of requests")
  .max(1_000_000_000);

const until = keyed({
  requests: requests.meta({ description: "Requests of the candidate in this step" }).prefault(0),
  time: duration(ANY_TIME).meta({ description: "Time in this step" }).prefault(0),
});

const UNTIL = { requests: 1_000, time: "10m" };

const step = keyed({
  weight: percent(1, 99).meta({ description: "The candidate carries this share" }).optional(),
  mirror: percent(1, 100)
    .meta({ description: "This share is also sent to the candidate, whose answers nobody sees" })
    .optional(),
  pause: z
    .union([z.literal("manual"), duration(SOME_TIME)], {
      error: "is not a pause: write a time such as 30m, or manual to wait for a person",
    })
    .meta({ description: "Wait this long; manual: until a person promotes or resumes" })
    .optional(),
  analysis: until
    .nullable()
    .meta({ description: "Go on once the evidence is good, at the latest after both" })
    .optional(),
  until: until.meta({ description: "When a weight or mirror step is over: both" }).prefault(UNTIL),
}).meta({ description: "One of weight, mirror, pause, analysis" });

const CANARY_STEPS = [
  { weight: "10%", until: { requests: 1_000, time: "10m" } },
  { weight: "50%", until: { requests: 5_000, time: "20m" } },
];

const canary = keyed({
  steps: z
    .array(step)
    .min(1, "are none: a canary needs one such as `weight: 10%`")
    .max(50)
    .prefault(CANARY_STEPS),
});
const blueGreen = keyed({
  steps: z.array(step).max(50).prefault([]),
  promotion: z
    .enum(["automatic", "manual"])
    .meta({ description: "manual: loaded and reachable, until a person promotes" })
    .prefault("automatic"),
});

const rollout = keyed({
  canary: canary
    .nullable()
    .transform((options) => options ?? canary.parse({}))
    .meta({ description: "A growing share of the traffic" })
    .optional(),
  blueGreen: blueGreen
    .nullable()
    .transform((options) => options ?? blueGreen.parse({}))
    .meta({ description: "All traffic at once, the old revision stays warm" })
    .optional(),
  recreate: keyed({})
    .nullable()
    .meta({ description: "The old revision ends first: where both do not fit into memory" })
    .optional(),
  bake: duration(ANY_TIME)
    .meta({ description: "Watch over the candidate once it carries all traffic" })
    .prefault("1h"),
  holdback: share(HOLDBACK)
    .meta({ description: "In the bake: share of the old revision (canary), or mirrored to it" })
    .prefault("5%"),
});

const analysis = keyed({
  alpha: share(ERROR)
    .meta({ description: "Largest probability of a false rollback over the whole watch" })
    .prefault(0.001),
  holdAlpha: share(ERROR)
    .meta({ description: "Evidence at which the rollout stops advancing" })
    .prefault(0.05),
  beta: share(ERROR)
    .meta({ description: "Largest probability of promoting early what is beyond the margin" })
    .prefault(0.05),
  margin: tolerance("1%")
    .meta({ description: "What an early promotion must exclude" })
    .prefault({}),
  early: z
    .boolean()
    .meta({ description: "Whether to promote as soon as the margin is excluded" })
    .prefault(false),
  minRequests: requests
    .meta({ description: "Requests of the candidate before an early promotion" })
    .prefault(500),
  flush: duration(FLUSH).meta({ description: "How often the evidence is weighed" }).prefault("1s"),
  deadline: duration(DEADLINE)
    .meta({ description: "A request that has not ended by then is bad" })
    .prefault("30s"),
  dispersion: z
    .union([z.literal("auto"), z.number().min(1, DISPERSION).max(1_000, DISPERSION)], {
      error: DISPERSION,
    })
    .meta({ description: "How bursty errors are: auto measures it" })
    .prefault("auto"),
  metrics: metricsSchema.prefault({}),
  inconclusive: keyed({
    then: z.enum(["hold", "rollback", "promote"]).prefault("hold"),
    deadline: duration(ANY_TIME).prefault("6h"),
  })
    .meta({ description: "When the evidence is not enough" })
    .prefault({}),
  noData: keyed({
    after: duration(SOME_TIME).prefault("5m"),
    then: z.enum(["hold", "rollback"]).prefault("hold"),
  })
    .meta({ description: "When no requests arrive" })
    .prefault({}),
});

const rollback = keyed({
  automatic: z
    .boolean()
    .meta({ description: "Whether evidence and limits roll back by themselves" })
    .prefault(true),
  fallback: z
    .boolean()
    .meta({ description: "Whether stable answers what the candidate fails" })
    .prefault(true),
  cooldown: duration(ANY_TIME)
    .meta({
      description:
        "After an automatic rollback the next rollout takes no step by itself for this long",
    })
    .prefault("10m"),
  atMost: perTime
    .meta({ description: "More automatic rollbacks than this wait for a person" })
    .prefault("3 per 24h"),
});

/** What a policy file says beside whom it is for. */
export const policyPartSchema = keyed({
  rollout: rollout.prefault({}),
  analysis: analysis.prefault({}),
  rollback: rollback.prefault({}),
});

/** `lastgood.yaml` as it is written, every default filled in. */
export const policyFileSchema = keyed({
  apiVersion: z.literal("lastgood/v1").prefault("lastgood/v1"),
  kind: z.literal("Endpoint").prefault("Endpoint"),
  name: endpointNameSchema
    .meta({ description: "The endpoint; by default the model's name and -prod or -staging" })
    .optional(),
  model: modelNameSchema.meta({ description: "The model it serves" }),
  environment: z.enum(ENVIRONMENTS).optional(),
  ...policyPartSchema.shape,
});

/** The policy's part of a file, every default filled in. */
export type PolicyPart = z.output<typeof policyPartSchema>;

/** One step as the file has it. */
export type StepPart = z.output<typeof step>;
