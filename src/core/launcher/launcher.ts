import * as z from "zod";

/** What servers are asked in: OIP v2 REST, MLflow scoring, or plain JSON by the inputs' names. */
const UPSTREAM_PROTOCOLS = ["oip", "mlflow", "json"] as const;
/** What servers are asked in. */
export type UpstreamProtocol = (typeof UPSTREAM_PROTOCOLS)[number];

/** What servers speak: one of these, or something of their own, and are given requests unread. */
export const LAUNCHER_PROTOCOLS = [...UPSTREAM_PROTOCOLS, "passthrough"] as const;

/** What a command and its variables may name, in braces. */
export const PLACEHOLDERS = ["port", "folder", "python", "name"] as const;

/** Schema of a launcher with every key decided: how a server is started on a version's folder. */
export const launcherSchema = z.object({
  /** A program and its arguments, no shell; runs in the version's folder. */
  command: z.array(z.string()).min(1),
  protocol: z.enum(LAUNCHER_PROTOCOLS),
  /** Name of the model in the protocol's paths. */
  model: z.string(),
  /** Where it is asked, in place of the protocol's own path. */
  path: z.string().nullable(),
  /** What says 2xx once it is ready, in place of the protocol's own path. */
  health: z.string().nullable(),
  /** Whether a request may be sent twice. */
  retries: z.boolean(),
  /** The interpreter: of `{python}`, or what environments are made with. */
  python: z.string(),
  /** Whether the requirements file of a version gets it an environment. */
  environment: z.enum(["none", "venv"]),
  /** Path of the requirements file inside the version. */
  requirements: z.string(),
  /** Variables on top of the server's own. */
  env: z.record(z.string(), z.string()),
  /** Longest time until it is ready, ms. */
  startTimeoutMs: z.number().positive(),
  /** Longest installation of an environment, ms. */
  installTimeoutMs: z.number().positive(),
  /** From TERM to KILL, ms. */
  stopTimeoutMs: z.number().nonnegative(),
  /** Ended when its health was not 2xx for this long, nor requests answered, ms; 0: never. */
  unhealthyMs: z.number().nonnegative(),
  /** Ended when it and what it started take more, bytes; null: no limit. */
  memoryBytes: z.number().positive().nullable(),
});

/** A launcher with every key decided. */
export type Launcher = z.infer<typeof launcherSchema>;

/** Values of the placeholders. */
export type PlaceholderValues = Readonly<Record<(typeof PLACEHOLDERS)[number], string>>;

/** A text with its placeholders filled in. */
export function fillIn(text: string, values: PlaceholderValues): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? values[name as keyof PlaceholderValues] : whole,
  );
}
