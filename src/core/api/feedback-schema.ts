import * as z from "zod";

const truth = z.union([z.string().max(1_000), z.number(), z.boolean()]);

/** What a caller knows of one prediction: whether it was right, what was true, or how good it was. */
export const feedbackItemSchema = z
  .strictObject({
    /** The `x-lastgood-request-id` of the answer. */
    requestId: z.string().min(1).max(300),
    correct: z.boolean().optional(),
    /** What was true: a class or a number, for a request of several rows a list of them. */
    label: z.union([truth, z.array(truth).min(1).max(1_000)]).optional(),
    /** In [0, 1], the higher the better. */
    score: z.number().min(0).max(1).optional(),
  })
  .refine(
    ({ correct, label, score }) =>
      [correct, label, score].filter((each) => each !== undefined).length === 1,
    "needs exactly one of correct, label and score",
  );

/** What became of feedback; the four numbers add up to what was sent. */
export const feedbackTakenSchema = z.object({
  /** Stored; it counts once a rollout that compares the revision is under watch. */
  accepted: z.number().int(),
  /** Ignored: the request's feedback was counted before. */
  duplicates: z.number().int(),
  /** Ignored: the prediction is older than feedback is kept. */
  late: z.number().int(),
  /** Refused: no request that is compared has this id. */
  refused: z.number().int(),
  /** The first 100 of those that were refused. */
  unknown: z.array(z.object({ requestId: z.string(), why: z.string() })),
});
