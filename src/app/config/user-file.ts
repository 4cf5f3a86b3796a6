import { existsSync } from "node:fs";

import * as z from "zod";

import { configDir, type Environment } from "./folders.ts";
import type { Sources } from "./resolve.ts";
import { SETTINGS, userFile } from "./settings.ts";
import { readYaml } from "./yaml-file.ts";

const keys = Object.values(SETTINGS).map((setting) => setting.key);
const scalar = z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]);
const schema = z.strictObject(Object.fromEntries(keys.map((key) => [key, scalar.optional()])));

/**
 * The user's configuration file, empty where there is none.
 * @throws `config.invalid` with line and column; unknown keys are refused.
 */
export function readUserFile(env: Environment): Sources["file"] {
  const path = userFile(configDir(env));
  if (!existsSync(path)) return { path, values: {} };
  const values = Object.entries(readYaml(path, schema)).flatMap(([key, value]) =>
    typeof value === "string" ? [[key, value] as const] : [],
  );
  return { path, values: Object.fromEntries(values) };
}
