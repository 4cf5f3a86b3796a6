import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OfferedVersion } from "./offered-version.ts";

const EXPECTED =
  "expected is a folder for each version, called by its number: fraud/1/model.onnx, fraud/2/model.onnx; a single version: lastgood register <model> <path>";

/** A folder that holds one version. */
interface NumberedFolder {
  /** As it stands there: `00000123` is how TensorFlow's exporters write 123. */
  readonly entry: string;
  readonly number: number;
}

/** Folders below one, and links to folders. */
function foldersIn(folder: string): string[] {
  return readdirSync(folder).filter(
    (entry) => statSync(join(folder, entry), { throwIfNoEntry: false })?.isDirectory() ?? false,
  );
}

/** A folder of one model has a folder for each version, which is called by its number. */
function numbersIn(folder: string): NumberedFolder[] {
  return foldersIn(folder)
    .filter((entry) => /^\d{1,15}$/.test(entry))
    .map((entry) => ({ entry, number: Number(entry) }))
    .toSorted((a, b) => a.number - b.number);
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

function versionsOf(folder: string, model: string, launcher: string | null): OfferedVersion[] {
  const other = launcher === null ? otherBackend(folder) : null;
  return numbersIn(folder).map(({ entry, number }) => {
    const path = join(folder, entry);
    return {
      origin: path,
      model,
      name: `v${number}`,
      aliases: [],
      bring: () => {
        if (other === null) return Promise.resolve({ path });
        return Promise.reject(
          new LastgoodError(
            "artifact.invalid",
            `its config.pbtxt has it run by ${other}, and natively served is ONNX alone`,
            { hint: "--launcher NAME has a server of your own serve it" },
          ),
        );
      },
    };
  });
}

/**
 * The versions in a folder as TensorFlow Serving and Triton lay them out: `fraud/1`, `fraud/2`…; or a
 * folder of several such models. Number 3 is called `v3` here. What a launcher is named for may be
 * of any kind.
 * @throws `usage.invalid` when there are none.
 */
export function folderOffers(
  path: string,
  as: string | null,
  { launcher = null }: { readonly launcher?: string | null | undefined } = {},
): readonly OfferedVersion[] {
  const folder = resolve(path);
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!(stat?.isDirectory() ?? false))
    throw new LastgoodError(
      "usage.invalid",
      stat === undefined ? `there is no folder ${path}` : `${path} is a file and no folder`,
      { hint: EXPECTED },
    );
  if (numbersIn(folder).length > 0) return versionsOf(folder, as ?? basename(folder), launcher);
  const models = foldersIn(folder)
    .filter((name) => !name.startsWith("."))
    .toSorted()
    .filter((name) => numbersIn(join(folder, name)).length > 0);
  if (models.length === 0)
    throw new LastgoodError("usage.invalid", `${path} holds no numbered versions`, {
      hint: EXPECTED,
    });
  if (as !== null && models.length > 1)
    throw new LastgoodError(
      "usage.invalid",
      `${path} holds ${models.length} models, so --as cannot name them all`,
      { hint: `import one of them: ${join(path, models[0] ?? "")}` },
    );
  return models.flatMap((name) => versionsOf(join(folder, name), as ?? name, launcher));
}
