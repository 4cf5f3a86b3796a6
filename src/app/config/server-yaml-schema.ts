import * as z from "zod";

import { DEFAULT_MAX_FILE_BYTES } from "../../core/api/index.ts";
import { byteSizeSchema, launchersSchema, LAUNCHER_PROTOCOLS } from "../../core/launcher/index.ts";
import { signalSourceKeys } from "../../core/policy/index.ts";
import { ERROR_INPUTS } from "../../core/redaction/index.ts";

const remoteSchema = z
  .strictObject({
    url: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }),
    protocol: z.enum(LAUNCHER_PROTOCOLS),
    /** The model's name there, where it differs from the remote's. */
    model: z.string().min(1).optional(),
    /** `passthrough`: a path that says 2xx when the server is ready. */
    health: z.string().startsWith("/", "must begin with /").optional(),
    /** True where asking twice does no harm. */
    retries: z.boolean().default(false),
  })
  .refine(({ protocol, health }) => health === undefined || protocol === "passthrough", {
    path: ["health"],
    error: "goes with protocol: passthrough",
  });

/** What `server.yaml` may say. */
export const serverYamlSchema = z.strictObject({
  remotes: z
    .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "is not a name"), remoteSchema)
    .default({}),
  launchers: launchersSchema,
  uploads: z
    .strictObject({ maxFile: byteSizeSchema.default(DEFAULT_MAX_FILE_BYTES) })
    .default({ maxFile: DEFAULT_MAX_FILE_BYTES }),
  incidents: z
    .strictObject({ inputs: z.enum(ERROR_INPUTS).default("none") })
    .default({ inputs: "none" }),
  ...signalSourceKeys,
});
