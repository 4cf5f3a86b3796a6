import * as z from "zod";

/** What was predicted for one request, as the prediction log has it. */
export const predictionSchema = z.object({
  /** Rows of the request; the log may hold only the first of them. */
  rows: z.number().int().positive(),
  /** Predicted class or number of each row. */
  values: z.array(z.union([z.string(), z.number()])),
});

/** What was predicted for one request. */
export type LoggedPrediction = z.infer<typeof predictionSchema>;
