import { z } from "zod";

import { launcherSchema } from "../../core/launcher/index.ts";
import { artefactFileSchema, digestSchema } from "../../core/version/index.ts";

/*
 * What a shim is started with and what it answers: `describe` (once the server is ready), `memory` and
 * `exit`. It is told `answered` while the server answers requests, and says `ended` by itself when the
 * server has ended, before it ends too.
 */

/** What a shim is started with: JSON in its standard input. */
export const shimArgumentsSchema = z.object({
  /** Unix socket to listen on. */
  socket: z.string(),
  build: z.string(),
  /** `endpoint/revision`, or `inspect/…` for a version that is looked at. */
  subject: z.string(),
  /** Of everything that makes this server another one: the version and how it is started. */
  claim: z.string(),
  /** Digest of the version. */
  digest: digestSchema,
  dataDir: z.string(),
  files: z.array(artefactFileSchema),
  /** Name of the launcher. */
  name: z.string(),
  launcher: launcherSchema,
  logFile: z.string(),
  /** Ends itself after this long without any connection, ms. */
  orphanMs: z.number().positive(),
});

/** What a shim is started with. */
export type ShimArguments = z.infer<typeof shimArgumentsSchema>;

/** Answer to `describe`. */
export const serverFactsSchema = z.object({
  port: z.number().int(),
  /** Of the server, not of the shim. */
  pid: z.number().int(),
  environment: z.string(),
  /** Whether the environment is what locked requirements say. */
  isManaged: z.boolean(),
  startedInMs: z.number(),
});

/** Answer to `describe`. */
export type ServerFacts = z.infer<typeof serverFactsSchema>;

/** Answer to `memory`: of the server and all that it started, bytes. */
export const memorySchema = z.object({ bytes: z.number().nullable() });

/** Body of `ended`. */
export const endedSchema = z.object({ why: z.string() });
