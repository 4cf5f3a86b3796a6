import * as z from "zod";

import { duration, type Range } from "./value.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const GRPC = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}(\/[\w.-]{1,200})?$/;

const pace: Range = { words: "from 1s to 1h", minimum: 1_000, maximum: 3_600_000 };
const patience: Range = { words: "from 100ms to 1m", minimum: 100, maximum: 60_000 };

function named<T extends z.ZodType>(schema: T): z.ZodDefault<z.ZodRecord<z.ZodString, T>> {
  return z.record(z.string().regex(NAME, "is not a name"), schema).default({});
}

/** The placeholders stand for what serves, never for where it is. */
function hasFixedOrigin(text: string): boolean {
  const origin = /^[a-z]+:\/\/[^/?#]*/i.exec(text)?.[0] ?? text;
  return !origin.includes("{{");
}

const webUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" });

const checkedUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:/i.test(text), "must be an http or https URL")
  .refine(hasFixedOrigin, "{{…}} may not stand in scheme, host or port");

const prometheusSchema = z.strictObject({
  url: webUrl,
  /** Name of the environment variable that holds the bearer token. */
  tokenEnv: z
    .string()
    .regex(ENV_NAME, "is not the name of an environment variable")
    .nullable()
    .default(null),
  every: duration(pace).prefault("5s"),
  timeout: duration(patience).prefault("5s"),
});

const pattern = z
  .string()
  .min(1)
  .max(500)
  .superRefine((text, context) => {
    try {
      RegExp(text, "u");
    } catch (error) {
      context.addIssue(`is not a regular expression: ${(error as Error).message}`);
    }
  });
const field = z.string().min(1).max(200);

/** Of JSON lines. */
const jsonLines = {
  format: z.literal("json"),
  /** Field of the level; `a.b` is b inside a. */
  level: field.default("level"),
  /** Levels that are errors, in any case; numbers from 50 on are too, as pino writes them. */
  errors: z
    .array(z.string().min(1))
    .min(1)
    .default(["error", "fatal", "critical", "alert", "emergency", "panic"]),
  version: field.nullable().default(null),
  revision: field.nullable().default(null),
};

/** Of lines of text; `version` and `revision` have one group. */
const textLines = {
  format: z.literal("regex"),
  error: pattern,
  version: pattern.nullable().default(null),
  revision: pattern.nullable().default(null),
};

const files = z.array(z.string().min(1).max(1_000)).min(1).max(20);

const logsSchema = z
  .discriminatedUnion("format", [
    z.strictObject({
      files: files.nullable().default(null),
      models: z.boolean().default(false),
      ...jsonLines,
    }),
    z.strictObject({
      files: files.nullable().default(null),
      models: z.boolean().default(false),
      ...textLines,
    }),
  ])
  .refine(
    (source) => (source.files !== null) !== source.models,
    "needs either files, or models: true for the output of the model processes",
  );

const healthSchema = z
  .strictObject({
    http: checkedUrl.nullable().default(null),
    /** `host:port`, or `host:port/service` for one service of the gRPC health protocol. */
    grpc: z.string().regex(GRPC, "must be host:port or host:port/service").nullable().default(null),
    /** Whether `grpc` is spoken over TLS; its certificate has to be trusted. */
    tls: z.boolean().default(false),
    /** PEM file of who is trusted to certify it, instead of those the system trusts; implies `tls`. */
    ca: z.string().min(1).max(1_000).nullable().default(null),
    /** A program and its arguments; no shell. */
    command: z.array(z.string().max(4_000)).min(1).max(100).nullable().default(null),
    every: duration(pace).prefault("10s"),
    timeout: duration(patience).prefault("5s"),
  })
  .refine(
    ({ http, grpc, command }) => [http, grpc, command].filter((each) => each !== null).length === 1,
    "needs exactly one of http, grpc and command",
  )
  .refine(({ grpc, tls, ca }) => grpc !== null || (!tls && ca === null), "tls and ca go with grpc");

/** The keys of `server.yaml` that name sources of evidence; metrics of a policy refer to them. */
export const signalSourceKeys = {
  prometheus: named(prometheusSchema),
  logs: named(logsSchema),
  health: named(healthSchema),
};

/** A Prometheus server; `every` and `timeout` in ms. */
export type PrometheusServer = z.infer<typeof prometheusSchema>;
/** A log and how its lines are judged. */
export type LogSource = z.infer<typeof logsSchema>;
/** A check; `every` and `timeout` in ms. */
export type HealthCheck = z.infer<typeof healthSchema>;

/** Sources of evidence beside the gateway, by the names that policies use. */
export interface SignalSources {
  readonly prometheus: Readonly<Record<string, PrometheusServer>>;
  readonly logs: Readonly<Record<string, LogSource>>;
  readonly health: Readonly<Record<string, HealthCheck>>;
}

/** A server without any. */
export const NO_SIGNAL_SOURCES: SignalSources = { prometheus: {}, logs: {}, health: {} };
