import type { LastgoodClient } from "../../client/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  pipelineSteps,
  versionLabel,
  type ReferenceSet,
  type RuntimeSpec,
} from "../../core/version/index.ts";
import { grouped } from "./phrase.ts";

/** A version as two words of the API: its model, and a name, sequence number or `@alias`. */
export interface NamedVersion {
  readonly model: string;
  readonly selector: string;
}

/**
 * Reads `fraud v1.1`, or `fraud@v1.1` and any other reference the server knows.
 * @throws `usage.invalid` when no version is named.
 */
export async function readVersionWords(
  client: LastgoodClient,
  words: readonly string[],
): Promise<NamedVersion> {
  const [first = "", second, ...more] = words;
  if (more.length > 0 || (second !== undefined && /[@:]/.test(first))) {
    throw new LastgoodError("usage.invalid", `"${words.join(" ")}" is more than one version`, {
      hint: "name it as fraud@v1.1, or as fraud v1.1",
    });
  }
  if (second === undefined) return resolveReference(client, first);
  return { model: first, selector: second };
}

/** The version that a reference such as `fraud@v1.1` or `models:/fraud/2` names. */
export async function resolveReference(
  client: LastgoodClient,
  reference: string,
): Promise<NamedVersion> {
  const { model, version } = await client.resolve(reference);
  if (version === null) {
    throw new LastgoodError("usage.invalid", `"${reference}" names a model and no version`, {
      hint: `name one, for example ${model}@v1.0 (lastgood versions ${model} lists them)`,
    });
  }
  return { model, selector: version.name ?? String(version.sequence) };
}

/** What is known of how inputs look: `5 000 rows: amount, age and 3 more`. */
export function referenceText({ rows, features }: ReferenceSet): string {
  const [first, second, ...more] = features.map(({ name }) => name);
  const named = [first, second].filter((name) => name !== undefined).join(", ");
  return `${grouped(rows)} rows: ${named}${more.length > 0 ? ` and ${more.length} more` : ""}`;
}

/** `fraud@v1.1`, or `fraud@3` for a version without a name. */
export function fullName(version: {
  readonly model: string;
  readonly name: string | null;
  readonly sequence: number;
}): string {
  return version.name === null
    ? `${version.model}@${version.sequence}`
    : `${version.model}@${versionLabel(version)}`;
}

/** `preprocess pre.onnx → predict model.onnx`, where the version is a pipeline; else nothing. */
export function pipelineLines(runtime: RuntimeSpec): readonly string[] {
  if (runtime.kind !== "onnx") return [];
  const steps = pipelineSteps(runtime);
  if (steps.length < 2) return [];
  return [steps.map(({ step, file }) => `${step} ${file}`).join(" → ")];
}
