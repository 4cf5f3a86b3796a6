import { existsSync } from "node:fs";

import * as z from "zod";

import { configDir, type Environment } from "./folders.ts";
import type { Sources } from "./resolve.ts";
import { SETTINGS, userFile } from "./settings.ts";

const keys = Object.values(SETTINGS).map((setting) => setting.key);
const scalar = z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]);
const schema = z.strictObject(Object.fromEntries(keys.map((key) => [key, scalar.optional()])));

/**
 * The user's configuration file, empty where there is none.
 * @throws `config.invalid` with line and column; unknown keys are refused.
 */
export async function readUserFile(env: Environment): Promise<Sources["file"]> {
  const path = userFile(configDir(env));
  if (!existsSync(path)) return { path, values: {} };
  // Most have no such file: then reading YAML is not loaded at all.
  const { readYaml } = await import("./yaml-file.ts");
  const values = Object.entries(readYaml(path, schema)).flatMap(([key, value]) =>
    typeof value === "string" ? [[key, value] as const] : [],
  );
  return { path, values: Object.fromEntries(values) };
}
