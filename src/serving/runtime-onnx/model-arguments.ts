import { z } from "zod";

import { digestSchema } from "../../core/version/index.ts";

/** What a model process is started with: JSON in its standard input. */
export const modelArgumentsSchema = z.object({
  /** Unix socket to listen on. */
  socket: z.string(),
  build: z.string(),
  /** `endpoint/revision`, or `inspect/…` for a version that is looked at. */
  subject: z.string(),
  /** Digest of the version. */
  digest: digestSchema,
  /** The steps in their order: where each file lies, and the digest its bytes must have. */
  steps: z
    .array(
      z.object({
        step: z.enum(["preprocess", "predict", "postprocess"]),
        path: z.string(),
        digest: digestSchema,
        /** Files that weights may lie in, by their paths from the step's own folder. */
        beside: z.array(z.object({ name: z.string(), path: z.string(), digest: digestSchema })),
      }),
    )
    .min(1),
  /** Ends itself after this long without any connection, ms. */
  orphanMs: z.number().positive(),
});

/** What a model process is started with. */
export type ModelArguments = z.infer<typeof modelArgumentsSchema>;
