import { join, resolve } from "node:path";

import * as z from "zod";

import { endpointNameSchema } from "../../core/version/index.ts";
import { addressSchema, optionalAddressSchema } from "./address.ts";
import { defaultDataDir, type Environment } from "./folders.ts";

/** One thing that can be configured: its flag, environment variable, default, help and schema. */
export interface Setting<T> {
  /** As in the help: `--workers <count>`. */
  readonly flag: string;
  readonly env: `LASTGOOD_${string}`;
  /** Key in the user's configuration file. */
  readonly key: string;
  readonly description: string;
  /** For the help, where the value itself depends on the machine. */
  readonly defaultText: string | null;
  readonly defaultTo: (env: Environment) => string | null;
  readonly schema: z.ZodType<T, string>;
}

const folder = z
  .string()
  .min(1, "must name a folder")
  .refine((path) => !path.includes("\0"), "holds a NUL character")
  .transform((path) => resolve(path));

const workers = z
  .string()
  .regex(/^\d{1,3}$/, "must be a whole number from 1 to 64")
  .transform(Number)
  .refine((count) => count >= 1 && count <= 64, "must be a whole number from 1 to 64");

const url = z
  .string()
  .transform((text) => (text.includes("://") ? text : `http://${text}`))
  .pipe(z.url({ protocol: /^https?$/, error: "must be a URL such as http://127.0.0.1:5000" }));

function setting<T>(given: Setting<T>): Setting<T> {
  return given;
}

/** Every setting of server and command line, in one table. */
export const SETTINGS = {
  dataDir: setting({
    flag: "--data-dir <folder>",
    env: "LASTGOOD_DATA_DIR",
    key: "data-dir",
    description: "folder of the registry, the artefacts and the history",
    defaultText: "$XDG_DATA_HOME/lastgood or ~/.local/share/lastgood",
    defaultTo: defaultDataDir,
    schema: folder,
  }),
  apiAddress: setting({
    flag: "--api-address <host:port>",
    env: "LASTGOOD_API_ADDRESS",
    key: "api-address",
    description: "where the API listens",
    defaultText: null,
    defaultTo: () => "127.0.0.1:5000",
    schema: addressSchema,
  }),
  serveAddress: setting({
    flag: "--serve-address <host:port>",
    env: "LASTGOOD_SERVE_ADDRESS",
    key: "serve-address",
    description: "where models are served",
    defaultText: null,
    defaultTo: () => "127.0.0.1:8080",
    schema: addressSchema,
  }),
  grpcAddress: setting({
    flag: "--grpc-address <host:port>",
    env: "LASTGOOD_GRPC_ADDRESS",
    key: "grpc-address",
    description: "where models are served over gRPC; none: nowhere",
    defaultText: null,
    defaultTo: () => "127.0.0.1:8081",
    schema: optionalAddressSchema,
  }),
  workers: setting({
    flag: "--workers <count>",
    env: "LASTGOOD_WORKERS",
    key: "workers",
    description: "threads that take requests on the serving port",
    defaultText: null,
    defaultTo: () => "2",
    schema: workers,
  }),
  defaultEndpoint: setting({
    flag: "--default-endpoint <name>",
    env: "LASTGOOD_DEFAULT_ENDPOINT",
    key: "default-endpoint",
    description: "endpoint that answers a bare /invocations",
    defaultText: "the only one there is",
    defaultTo: () => null,
    schema: z.string().pipe(endpointNameSchema),
  }),
  config: setting({
    flag: "--config <file>",
    env: "LASTGOOD_CONFIG",
    key: "config",
    description: "server.yaml, which names remote model servers and sources of evidence",
    defaultText: "none",
    defaultTo: () => null,
    schema: folder,
  }),
  url: setting({
    flag: "--url <url>",
    env: "LASTGOOD_URL",
    key: "url",
    description: "API of the server to talk to",
    defaultText: "the one that owns the data folder",
    defaultTo: () => null,
    schema: url,
  }),
  actor: setting({
    flag: "--actor <name>",
    env: "LASTGOOD_ACTOR",
    key: "actor",
    description: "who does this, for the history",
    defaultText: "the CI job's identity, else user@host",
    defaultTo: () => null,
    schema: z.string().trim().min(1, "must not be empty").max(200, "is longer than 200 characters"),
  }),
} as const;

/** Name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/** What a setting's value is once its schema took it. */
export type SettingValue<N extends SettingName> = z.infer<(typeof SETTINGS)[N]["schema"]>;

/** The user's own configuration file. */
export function userFile(configDir: string): string {
  return join(configDir, "config.yaml");
}
