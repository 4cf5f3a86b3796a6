import * as z from "zod";

import { LastgoodError } from "../errors/index.ts";
import { parseDuration } from "../time/index.ts";
import { BUILT_IN_LAUNCHERS, LAUNCHER_DEFAULTS, unread, UNREAD_LAUNCHER } from "./built-in.ts";
import { byteSizeSchema } from "./byte-size.ts";
import { LAUNCHER_PROTOCOLS, PLACEHOLDERS, type Launcher } from "./launcher.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** A duration within bounds, ms. */
function time(leastMs: number, mostMs: number, words: string): z.ZodType<number, string | 0> {
  return z.union([z.string(), z.literal(0)]).transform((text, context): number => {
    try {
      const ms = Math.round(parseDuration(String(text)));
      if (ms >= leastMs && ms <= mostMs) return ms;
      context.addIssue({ code: "custom", message: `must be ${words}` });
    } catch (error) {
      const { message, hint } = LastgoodError.from(error);
      context.addIssue({ code: "custom", message: `${message}; ${hint ?? ""}` });
    }
    return z.NEVER;
  });
}

/** Text whose placeholders all have a meaning. */
const template = z
  .string()
  .max(4_000)
  .superRefine((text, context) => {
    for (const [whole, name] of text.matchAll(/\{(\w+)\}/g))
      if (!PLACEHOLDERS.some((each) => each === name))
        context.addIssue(
          `${whole} means nothing; there are ${PLACEHOLDERS.map((each) => `{${each}}`).join(", ")}`,
        );
  });

const path = z.string().regex(/^\/\S*$/, "must begin with /");

const relativePath = z
  .string()
  .min(1)
  .refine(
    (text) => text.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
    "must be a path inside the version",
  );

const launcherFileSchema = z.strictObject({
  /** A launcher whose other keys these change. */
  from: z.enum(Object.keys(BUILT_IN_LAUNCHERS)).optional(),
  command: z.array(template).min(1).max(200).optional(),
  protocol: z.enum(LAUNCHER_PROTOCOLS).optional(),
  model: z.string().min(1).max(200).optional(),
  path: path.optional(),
  health: path.optional(),
  retries: z.boolean().optional(),
  python: z.string().min(1).max(1_000).optional(),
  environment: z.enum(["none", "venv"]).optional(),
  requirements: relativePath.optional(),
  env: z
    .record(z.string().regex(ENV_NAME, "is not the name of an environment variable"), template)
    .optional(),
  startTimeout: time(100, 3_600_000, "from 100ms to 1h").optional(),
  installTimeout: time(1_000, 14_400_000, "from 1s to 4h").optional(),
  stopTimeout: time(0, 8_000, "from 0 to 8s").optional(),
  unhealthyAfter: time(0, 3_600_000, "from 0 (never) to 1h").optional(),
  memory: byteSizeSchema.optional(),
});

type LauncherEntry = z.infer<typeof launcherFileSchema>;

/** What stands in the file, without the keys that do not. */
function written(entry: LauncherEntry): Partial<Launcher> {
  const { from: _, startTimeout, installTimeout, stopTimeout, unhealthyAfter, ...others } = entry;
  const { memory: memoryBytes, ...same } = others;
  const all = {
    ...same,
    startTimeoutMs: startTimeout,
    installTimeoutMs: installTimeout,
    stopTimeoutMs: stopTimeout,
    unhealthyMs: unhealthyAfter,
    memoryBytes,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** `launchers:` of a server's configuration, with the built-in ones and every key decided. */
export const launchersSchema = z
  .record(z.string().regex(NAME, "is not a name"), launcherFileSchema)
  .default({})
  .transform((entries, context): Record<string, Launcher> => {
    const launchers: Record<string, Launcher> = { ...BUILT_IN_LAUNCHERS };
    const { mlflow } = entries;
    if (mlflow !== undefined && launchers["mlflow"] !== undefined)
      launchers[UNREAD_LAUNCHER] = unread({ ...launchers["mlflow"], ...written(mlflow) });
    for (const [name, entry] of Object.entries(entries)) {
      const base = entry.from === undefined ? launchers[name] : BUILT_IN_LAUNCHERS[entry.from];
      const command = entry.command ?? base?.command;
      if (command === undefined) {
        context.addIssue({
          code: "custom",
          path: [name],
          message: `needs a command, or from: ${Object.keys(BUILT_IN_LAUNCHERS).join(" | ")}`,
        });
        return z.NEVER;
      }
      launchers[name] = { ...LAUNCHER_DEFAULTS, model: name, ...base, ...written(entry), command };
    }
    return launchers;
  });
