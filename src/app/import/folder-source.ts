import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OfferedVersion } from "./offered-version.ts";

/** A folder of one model, with a folder for each version that is called by its number. */
function numbersIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^\d{1,15}$/.test(entry.name))
    .map((entry) => entry.name)
    .toSorted((a, b) => Number(a) - Number(b));
}

/** A text value of Triton's config.pbtxt (protobuf text format), or null. */
function configValue(config: string, key: string): string | null {
  return new RegExp(`^\\s*${key}\\s*:\\s*"([^"]*)"`, "m").exec(config)?.[1] ?? null;
}

/** Why Triton would not run the model with ONNX Runtime, or null. */
function otherBackend(folder: string): string | null {
  const path = join(folder, "config.pbtxt");
  if (!existsSync(path)) return null;
  const config = readFileSync(path, "utf8");
  const runs = configValue(config, "backend") ?? configValue(config, "platform");
  return runs === null || runs === "" || runs.startsWith("onnxruntime") ? null : runs;
}

function versionsOf(folder: string, model: string): OfferedVersion[] {
  const other = otherBackend(folder);
  return numbersIn(folder).map((number) => {
    const path = join(folder, number);
    return {
      origin: path,
      model,
      // `0003` is 3, as TensorFlow Serving reads it.
      name: `v${Number(number)}`,
      aliases: [],
      bring: () => {
        if (other === null) return Promise.resolve({ path });
        return Promise.reject(
          new LastgoodError(
            "artifact.invalid",
            `its config.pbtxt has it run by ${other}, and natively served is ONNX alone`,
          ),
        );
      },
    };
  });
}

/**
 * The versions in a folder as TensorFlow Serving and Triton lay them out: `fraud/1`, `fraud/2`…; or a
 * folder of several such models. Number 3 is called `v3` here.
 * @throws `usage.invalid` when there are none.
 */
export function folderOffers(path: string, as: string | null): readonly OfferedVersion[] {
  const folder = resolve(path);
  if (!(statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false))
    throw new LastgoodError("usage.invalid", `there is no folder ${path}`);
  if (numbersIn(folder).length > 0) return versionsOf(folder, as ?? basename(folder));
  const models = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name)
    .toSorted()
    .filter((name) => numbersIn(join(folder, name)).length > 0);
  if (models.length === 0)
    throw new LastgoodError("usage.invalid", `${path} holds no numbered versions`, {
      hint: "expected is a folder for each version, called by its number: fraud/1/model.onnx, fraud/2/model.onnx",
    });
  if (as !== null && models.length > 1)
    throw new LastgoodError(
      "usage.invalid",
      `${path} holds ${models.length} models, so --as cannot name them all`,
      { hint: `import one of them: ${join(path, models[0] ?? "")}` },
    );
  return models.flatMap((name) => versionsOf(join(folder, name), as ?? name));
}
