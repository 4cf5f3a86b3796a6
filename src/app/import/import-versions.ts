import { createHash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import type { LastgoodClient } from "../../client/index.ts";
import type { VersionSummary } from "../../core/api/index.ts";
import { LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import {
  parseAlias,
  parseModelName,
  parseVersionName,
  versionLabel,
} from "../../core/version/index.ts";
import { readModel, registerModel, type Registering } from "../model-folder/index.ts";
import { mustBeTaken, type OfferedVersion } from "./offered-version.ts";

/** What became of one version. */
export interface ImportedVersion {
  readonly origin: string;
  readonly model: string;
  readonly name: string;
  /** `offered` in a dry run: it would be imported. */
  readonly outcome: "imported" | "present" | "refused" | "offered";
  readonly sequence: number | null;
  /** Why it was refused. */
  readonly why: string | null;
  readonly notes: readonly string[];
}

/** How versions are imported. */
export interface ImportOptions {
  readonly client: LastgoodClient;
  /** Where files lie between being fetched and being stored; kept over crashes. */
  readonly cacheDir: string;
  readonly actor: string;
  readonly dryRun: boolean;
  /** Fetches what is here already too, and compares its bytes. */
  readonly verify: boolean;
  /** Of every version, where its folder says otherwise or nothing. */
  readonly said: Pick<Registering["said"], "launcher" | "signature" | "inputExample">;
  /** Called before a version's own server is started once, which may take minutes. */
  readonly onStart: (origin: string) => void;
  /** Called after each version. */
  readonly onVersion: (version: ImportedVersion) => void;
}

/** What is wrong with one version and says nothing of the others. */
const OF_ONE_VERSION: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "code.not-allowed",
  "artifact.invalid",
  "artifact.corrupt",
  "artifact.missing",
  "body.too-large",
  "input.invalid",
  "name.invalid",
  "name.reserved",
  "preflight.rejected",
  "runtime.failed",
  "runtime.timeout",
  "signature.mismatch",
  "usage.invalid",
  "version.exists",
  "version.not-found",
]);

/**
 * Imports versions in the order they are offered. What was imported from the same place under the
 * same name before is not fetched again, so that a run that was broken off goes on where it was; a
 * version that cannot be had, or that the registry refuses, keeps no other one.
 * @throws what is wrong with neither: the server here or there does not answer.
 */
export async function importVersions(
  offers: readonly OfferedVersion[],
  options: ImportOptions,
): Promise<readonly ImportedVersion[]> {
  const models = new Map<string, readonly VersionSummary[]>();
  const done: ImportedVersion[] = [];
  for (const offer of offers) {
    const here = models.get(offer.model) ?? (await versionsOf(options.client, offer.model));
    models.set(offer.model, here);
    const outcome = await importOne(offer, here, options);
    done.push(outcome);
    options.onVersion(outcome);
  }
  return done;
}

/** @throws `name.invalid`, with what names it otherwise. */
function mustNameModel(model: string): void {
  try {
    parseModelName(model);
  } catch (thrown) {
    const error = LastgoodError.from(thrown);
    throw new LastgoodError(error.code, error.message, {
      hint: `--as NAME gives it another name here: ${error.hint ?? ""}`,
      cause: thrown,
    });
  }
}

/** None of a model that is not here, or that could not be called that. */
async function versionsOf(
  client: LastgoodClient,
  model: string,
): Promise<readonly VersionSummary[]> {
  try {
    return await client.versions(model);
  } catch (error) {
    const { code } = LastgoodError.from(error);
    if (code === "model.not-found" || code === "name.invalid") return [];
    throw error;
  }
}

async function importOne(
  offer: OfferedVersion,
  here: readonly VersionSummary[],
  options: ImportOptions,
): Promise<ImportedVersion> {
  const { origin, model, name } = offer;
  const base = { origin, model, name };
  try {
    mustNameModel(model);
    parseVersionName(name);
    const standing = here.find((version) => version.name === name) ?? null;
    const isSame = standing !== null && (await cameFrom(options.client, standing, origin));
    if (standing !== null && isSame && !options.verify) {
      const notes = options.dryRun ? [] : await pointAliases(offer, here, options);
      return { ...base, outcome: "present", sequence: standing.sequence, why: null, notes };
    }
    if (options.dryRun)
      return { ...base, outcome: "offered", sequence: null, why: null, notes: [] };
    return { ...base, ...(await bringOver(offer, here, options)) };
  } catch (thrown) {
    const error = LastgoodError.from(thrown);
    if (!OF_ONE_VERSION.has(error.code)) throw thrown;
    rmSync(workspaceOf(options.cacheDir, origin), { recursive: true, force: true });
    return {
      ...base,
      outcome: "refused",
      sequence: null,
      why: error.message,
      notes: nextSteps(error),
    };
  }
}

function nextSteps({ hint }: LastgoodError): string[] {
  return hint === undefined ? [] : [`next: ${hint}`];
}

function workspaceOf(cacheDir: string, origin: string): string {
  const key = createHash("sha256").update(origin).digest("hex").slice(0, 16);
  return join(cacheDir, "import", key);
}

async function cameFrom(
  client: LastgoodClient,
  { model, sequence }: VersionSummary,
  origin: string,
): Promise<boolean> {
  const { lineage } = await client.version(model, String(sequence));
  return lineage["imported_from"] === origin;
}

async function bringOver(
  offer: OfferedVersion,
  here: readonly VersionSummary[],
  { client, cacheDir, actor, said, onStart }: ImportOptions,
): Promise<Omit<ImportedVersion, "origin" | "model" | "name">> {
  const { origin, model, name } = offer;
  const workspace = workspaceOf(cacheDir, origin);
  mkdirSync(workspace, { recursive: true });
  const maxFileBytes = await client.maxFileBytes();
  const brought = await offer.bring(workspace, maxFileBytes);
  const { metrics = {}, params = {}, tags = {}, lineage = {}, notes = [] } = brought;
  const found = await readModel(brought.path);
  for (const { name: file, size } of found.files) mustBeTaken(file, size, maxFileBytes);
  const saying = {
    ...said,
    name: parseVersionName(name),
    metrics: { ...metrics },
    params: { ...params },
    tags: { ...tags },
    lineage: { ...lineage, imported_from: origin },
    actor,
  };
  const registered = await registerModel(
    client,
    { model, found, said: saying },
    { onStart: () => onStart(origin) },
  );
  rmSync(workspace, { recursive: true, force: true });
  const aliasNotes = await pointAliases(offer, here, { client, actor });
  return {
    outcome: registered.created ? "imported" : "present",
    sequence: registered.version.sequence,
    why: null,
    notes: [...notes, ...registered.notes, ...aliasNotes],
  };
}

/** An alias that points elsewhere here was moved by somebody, and stays. */
async function pointAliases(
  offer: OfferedVersion,
  here: readonly VersionSummary[],
  { client, actor }: Pick<ImportOptions, "client" | "actor">,
): Promise<string[]> {
  const notes: string[] = [];
  for (const alias of offer.aliases) {
    const holder = here.find((version) => version.aliases.includes(alias));
    if (holder !== undefined) {
      if (holder.name !== offer.name)
        notes.push(`the alias ${alias} points at ${versionLabel(holder)} here and was left there`);
      continue;
    }
    try {
      parseAlias(alias);
      await client.setAlias(offer.model, alias, { version: offer.name, actor });
    } catch (thrown) {
      const error = LastgoodError.from(thrown);
      if (!OF_ONE_VERSION.has(error.code)) throw thrown;
      notes.push(`the alias ${alias} was not taken over: ${error.message}`);
    }
  }
  return notes;
}
