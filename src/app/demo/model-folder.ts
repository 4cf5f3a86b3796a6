import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";

const modelSchema = z.object({
  model: z.string(),
  versions: z.record(
    z.string(),
    z.object({
      file: z.string(),
      metrics: z.record(z.string(), z.number()),
      broken: z.string().optional(),
    }),
  ),
});

/** One held-out row, ready to be sent, with its true label. */
export interface DemoRow {
  readonly body: string;
  readonly label: string;
}

/** A version of the demo's model, as its author would register it. */
export interface DemoVersion {
  readonly path: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** What is wrong with it, or null. */
  readonly broken: string | null;
}

/** A folder of `examples/`. */
export interface DemoModel {
  readonly name: string;
  readonly example: string;
  /** How its versions reach production. */
  readonly policy: string;
  readonly versions: ReadonlyMap<string, DemoVersion>;
  readonly rows: readonly DemoRow[];
}

function requestBody(features: readonly number[]): string {
  return JSON.stringify({
    inputs: [{ name: "features", shape: [1, features.length], datatype: "FP32", data: features }],
  });
}

function readRows(path: string): readonly DemoRow[] {
  const [, ...lines] = readFileSync(path, "utf8").trim().split(/\r?\n/);
  return lines.map((line) => {
    const cells = line.split(",");
    return { body: requestBody(cells.slice(0, -1).map(Number)), label: cells.at(-1) ?? "" };
  });
}

/**
 * Reads a folder of `examples/`: versions, example and held-out rows.
 * @throws `config.invalid` when it is not there or not of that form.
 */
export function readModelFolder(folder: string): DemoModel {
  const description = join(folder, "model.json");
  if (!existsSync(description))
    throw new LastgoodError("config.invalid", `the example models are not at ${folder}`, {
      hint: "run the demo from a checkout or an installed package that has its examples folder",
    });
  const parsed = modelSchema.safeParse(JSON.parse(readFileSync(description, "utf8")));
  if (!parsed.success)
    throw new LastgoodError("config.invalid", `${description} does not have the expected form`);
  const versions = Object.entries(parsed.data.versions).map(
    ([name, { file, metrics, broken }]): [string, DemoVersion] => [
      name,
      { path: join(folder, file), metrics, broken: broken ?? null },
    ],
  );
  return {
    name: parsed.data.model,
    example: join(folder, "example.json"),
    policy: join(folder, "lastgood.yaml"),
    versions: new Map(versions),
    rows: readRows(join(folder, "held-out.csv")),
  };
}
