import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { parseModelName } from "../../core/version/index.ts";
import { readYamlFile } from "./yaml-file.ts";

/** What MLflow writes beside a model that was fetched from a registry. */
const metaSchema = z.object({ model_name: z.string() });

/** Folders that are called this in every run, so that it names no model. */
const NO_NAMES = new Set(["artifacts", "model"]);

function said(path: string): string | null {
  const meta = join(path, "registered_model_meta");
  if (!existsSync(meta)) return null;
  const parsed = metaSchema.safeParse(readYamlFile(meta));
  return parsed.success ? parsed.data.model_name : null;
}

function fromPath(path: string): string {
  const own = basename(path).replace(/\.onnx$/, "");
  const above = basename(dirname(path));
  return NO_NAMES.has(own) && above !== "" ? above : own;
}

/**
 * What a model at a path is called where nobody says it: the name it was registered under at MLflow,
 * else that of its file or folder.
 * @throws `name.invalid` where that could not be a name.
 */
export function modelNameOf(path: string): string {
  const name = said(path) ?? fromPath(resolve(path));
  try {
    return parseModelName(name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, ""));
  } catch (cause) {
    throw new LastgoodError(
      "name.invalid",
      `"${name}" cannot name a model, and ${path} has no other`,
      {
        hint: "register it under a name first: lastgood register <model> <path>",
        cause,
      },
    );
  }
}
