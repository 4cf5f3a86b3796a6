import { z } from "zod";

import { launcherSchema, UPSTREAM_PROTOCOLS } from "../../core/launcher/index.ts";

/** Schema of a remote model server of the server's own configuration. */
const remoteConfigSchema = z.object({
  url: z.string(),
  protocol: z.enum([...UPSTREAM_PROTOCOLS, "passthrough"]),
  model: z.string().optional(),
  /** `passthrough`: a path that says 2xx when it is ready. */
  health: z.string().optional(),
  retries: z.boolean().default(false),
});

/** Schema of what a gateway process is started with, as JSON in its standard input. */
export const gatewayConfigSchema = z.object({
  dataDir: z.string().min(1),
  serveHost: z.string().min(1),
  /** 0: a free one. */
  servePort: z.number().int().min(0).max(65_535),
  /** Where gRPC is spoken; null: nowhere. */
  grpc: z
    .object({ host: z.string().min(1), port: z.number().int().min(0).max(65_535) })
    .nullable()
    .default(null),
  workers: z.number().int().positive().default(2),
  /** Answers addresses without a name where several endpoints exist. */
  defaultEndpoint: z.string().nullable().default(null),
  /** Bundle that runs as a model process. */
  modelEntry: z.string(),
  /** Bundle that runs as the shim of a managed server. */
  shimEntry: z.string(),
  /** Bundle that runs as a worker thread. */
  workerEntry: z.string(),
  remotes: z.record(z.string(), remoteConfigSchema).default({}),
  /** Every launcher there is. */
  launchers: z.record(z.string(), launcherSchema).default({}),
  /** Versions whose files are code may run. */
  allowCode: z.boolean().default(false),
  build: z.string(),
  socketFolder: z.string(),
});

/** What a gateway process is started with. */
export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;
