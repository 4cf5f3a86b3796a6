import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { artefactFileSchema } from "../../core/version/index.ts";
import type { MlflowClient, MlflowRun, MlflowVersion } from "./mlflow-client.ts";
import { mustBeTaken, type BroughtVersion, type OfferedVersion } from "./offered-version.ts";

/** What is wanted of an MLflow registry: one version by number or alias, or all of a model. */
export interface MlflowWish {
  readonly model: string;
  readonly version: string | null;
  readonly alias: string | null;
  readonly as: string | null;
}

/** Longest text that a label holds. */
const MAX_LABEL = 5_000;
const MAX_KEY = 250;

/**
 * What `models:/fraud/3`, `models:/fraud@champion` or `models:/fraud` names; null for anything else.
 */
export function parseModelsUri(text: string): Omit<MlflowWish, "as"> | null {
  const found = /^models:\/+(?<model>[^/@]+)(?:\/(?<version>\d+)|@(?<alias>[^/@]+))?$/.exec(
    text,
  )?.groups;
  if (found === undefined) return null;
  const { model = "", version = null, alias = null } = found as Record<string, string | undefined>;
  return { model, version, alias };
}

/**
 * The versions of a model in an MLflow server's registry, with their aliases, tags, description, and
 * the parameters, metrics, commit and data of the run they came from. Number 3 is called `v3` here.
 * @throws `usage.invalid` when there is no such version; `server.unreachable`.
 */
export async function mlflowOffers(
  client: MlflowClient,
  wish: MlflowWish,
): Promise<readonly OfferedVersion[]> {
  const aliases = await client.aliases(wish.model);
  const all = await client.versions(wish.model);
  const found = all.filter(
    ({ version }) =>
      (wish.version === null || version === wish.version) &&
      (wish.alias === null || (aliases.get(version)?.includes(wish.alias) ?? false)),
  );
  if (found.length === 0)
    throw new LastgoodError(
      "version.not-found",
      `${wish.model} has no such version at ${client.url}`,
      {
        hint: `its versions are ${all.map(({ version }) => version).join(", ") || "none"}`,
      },
    );
  return found.map(({ version, ...facts }) => ({
    origin: `${client.url}/#/models/${encodeURIComponent(wish.model)}/versions/${version}`,
    model: wish.as ?? wish.model,
    name: `v${version}`,
    aliases: aliases.get(version) ?? [],
    bring: (workspace, maxFileBytes) =>
      bring(client, wish.model, { version, ...facts }, { workspace, maxFileBytes }),
  }));
}

interface Place {
  readonly workspace: string;
  readonly maxFileBytes: number;
}

async function bring(
  client: MlflowClient,
  model: string,
  version: MlflowVersion,
  into: Place,
): Promise<BroughtVersion> {
  const path = await fetchFiles(client, model, version, into);
  const runId = version.run_id ?? "";
  const run = runId === "" ? null : await client.run(runId);
  return {
    path,
    tags: tagsOf(version),
    ...(run === null ? {} : factsOf(run)),
    lineage: { ...(run === null ? {} : lineageOf(run)), ...(runId === "" ? {} : { run: runId }) },
    notes: runId !== "" && run === null ? [`its run ${runId} is gone at ${client.url}`] : [],
  };
}

function labels(
  entries: readonly { readonly key: string; readonly value: string }[],
): Record<string, string> {
  return Object.fromEntries(
    entries
      .filter(({ key, value }) => key !== "" && key.length <= MAX_KEY && value.length <= MAX_LABEL)
      .map(({ key, value }) => [key, value]),
  );
}

function tagsOf({
  tags,
  description = "",
  current_stage: stage = "None",
}: MlflowVersion): Record<string, string> {
  return labels([
    ...tags,
    ...(description === "" ? [] : [{ key: "description", value: description }]),
    ...(stage === "None" ? [] : [{ key: "mlflow.stage", value: stage }]),
  ]);
}

function factsOf({ data }: MlflowRun): Pick<BroughtVersion, "metrics" | "params"> {
  const numbers = data.metrics.flatMap(({ key, value }): [string, number][] =>
    typeof value === "number" && key !== "" && key.length <= MAX_KEY ? [[key, value]] : [],
  );
  return { metrics: Object.fromEntries(numbers), params: labels(data.params) };
}

function lineageOf({ data, inputs }: MlflowRun): Record<string, string> {
  const commit = data.tags.find(({ key }) => key === "mlflow.source.git.commit")?.value ?? "";
  const digests = inputs.dataset_inputs
    .map(({ dataset }) => dataset.digest)
    .filter((each) => each !== "");
  return labels([
    ...(commit === "" ? [] : [{ key: "git_commit", value: commit }]),
    ...(digests.length === 0 ? [] : [{ key: "dataset_digest", value: digests.join(" ") }]),
  ]);
}

async function fetchFiles(
  client: MlflowClient,
  model: string,
  version: MlflowVersion,
  { workspace, maxFileBytes }: Place,
): Promise<string> {
  if (version.status !== "READY")
    throw new LastgoodError(
      "artifact.missing",
      `MLflow says of it ${version.status}: ${version.status_message ?? ""}`,
    );
  const root = await client.artifactPath(model, version.version);
  const files = await client.files(root);
  if (files.length === 0)
    throw new LastgoodError("artifact.missing", `the server has no files of it at ${root}`);
  for (const { path, size } of files) {
    if (!artefactFileSchema.shape.path.safeParse(path).success)
      throw new LastgoodError("artifact.invalid", `"${path}" is no path inside a version`);
    mustBeTaken(path, size ?? 0, maxFileBytes);
  }
  const { run_id: runId = null, creation_timestamp: createdMs = null } = version;
  const folder = folderOf(workspace, JSON.stringify({ root, runId, createdMs, files }));
  for (const file of files) await client.download(root, file, join(folder, file.path));
  return folder;
}

/**
 * The folder for the files of one source, with what an earlier run left of that very source and
 * nothing else: a number of a model that was deleted and made anew is another version.
 */
function folderOf(workspace: string, source: string): string {
  const folder = join(workspace, "files");
  const note = join(workspace, "source.json");
  if (existsSync(note) && readFileSync(note, "utf8") === source) return folder;
  rmSync(workspace, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(note, source);
  return folder;
}
