import * as z from "zod";

/** What one revision predicted. */
export const predictedRowsSchema = z.object({
  /** Rows of the request; the log may hold only the first of them. */
  rows: z.number().int().positive(),
  /** Predicted class or number of each row. */
  values: z.array(z.union([z.string(), z.number()])),
});

/** What one revision predicted. */
export type PredictedRows = z.infer<typeof predictedRowsSchema>;

/** What was predicted for one request, as the prediction log has it. */
export const predictionSchema = predictedRowsSchema.extend({
  /** What the revision predicted that was given the request as well, or null. */
  mirror: predictedRowsSchema
    .extend({ revision: z.number().int().positive() })
    .nullable()
    .default(null),
});

/** What was predicted for one request. */
export type LoggedPrediction = z.infer<typeof predictionSchema>;
