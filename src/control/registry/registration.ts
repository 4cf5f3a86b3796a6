import type { RegisterBody } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { WireTensor } from "../../core/tensor/index.ts";
import {
  parseModelName,
  parseVersionName,
  signatureSchema,
  versionLabel,
  type ArtefactFile,
  type Digest,
  type ModelName,
  type ReferenceSet,
  type RuntimeSpec,
} from "../../core/version/index.ts";
import type { Inspected } from "../../link/message/index.ts";
import { canonicalJson } from "../../storage/history/index.ts";
import type { StoredManifest, VersionRecord } from "../../storage/store/index.ts";
import { modelHistory, type RegistryDependencies } from "./dependencies.ts";
import { versionDigest } from "./digest.ts";
import { exampleToInputs } from "./input-example.ts";
import { readReferenceSet } from "./reference-set.ts";
import { runtimeOf } from "./runtime-of.ts";
import { withTables } from "./tables.ts";

/** What registers a version: the API's body and the model's name. */
export type Registration = RegisterBody & { readonly model: string };

/** What registering did. */
export interface RegisteredVersion {
  /** False when these very bytes had this name already: nothing was stored. */
  readonly created: boolean;
  readonly version: VersionRecord;
  /** What a person should know: inputs that threw, batching off, what was not taken over. */
  readonly notes: readonly string[];
}

interface Content {
  readonly model: ModelName;
  readonly runtime: RuntimeSpec;
  readonly files: readonly ArtefactFile[];
  readonly digest: Digest;
}

/** Runs registrations; one model's are stored one after the other. */
export class Registrar {
  readonly #on: RegistryDependencies;
  readonly #storing = new Map<string, Promise<unknown>>();

  constructor(dependencies: RegistryDependencies) {
    this.#on = dependencies;
  }

  async register(registration: Registration): Promise<RegisteredVersion> {
    const content = await this.#content(registration);
    const before = await this.#registeredBefore(registration, content);
    if (before !== null) return before;
    await this.#verifyFiles(content.files);
    const inspected = await this.#inspect(registration, content);
    const reference =
      registration.reference === null
        ? null
        : await readReferenceSet(this.#on.artifacts, registration.reference, inspected.signature);
    return this.#oneAtATime(content.model, async () => {
      // Somebody may have been faster while this version was being loaded.
      const meanwhile = await this.#registeredBefore(registration, content);
      return (
        meanwhile ?? (await this.#storeVersion(registration, content, { inspected, reference }))
      );
    });
  }

  async #content(registration: Registration): Promise<Content> {
    const model = parseModelName(registration.model);
    if (registration.name !== null) parseVersionName(registration.name);
    const other = await this.#on.store.models.sameButCase(model);
    if (other !== null) {
      throw new LastgoodError(
        "name.invalid",
        `"${model}" differs from the model ${other} in case alone`,
        {
          hint: `did you mean ${other}?`,
        },
      );
    }
    const paths = registration.files.map((file) => file.path);
    const twice = paths.find((path, index) => paths.indexOf(path) !== index);
    if (twice !== undefined)
      throw new LastgoodError("input.invalid", `the path ${twice} is given twice`);
    const runtime = runtimeOf(registration);
    const files: ArtefactFile[] = [];
    for (const file of registration.files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
      const size = await this.#on.artifacts.size(file.digest);
      if (size === null) {
        throw new LastgoodError(
          "artifact.missing",
          `${file.path} was not uploaded: there are no bytes ${file.digest}`,
          {
            hint: "upload the file first, then register it again",
            details: { path: file.path, digest: file.digest },
          },
        );
      }
      files.push({ path: file.path, digest: file.digest, size });
    }
    return { model, runtime, files, digest: versionDigest(files, runtime) };
  }

  /** The version that has this name and these bytes, null when the name is free. @throws `version.exists`. */
  async #registeredBefore(
    registration: Registration,
    content: Content,
  ): Promise<RegisteredVersion | null> {
    const { versions } = this.#on.store;
    const { name } = registration;
    if (name === null) {
      const same = await versions.byDigest(content.digest);
      const unnamed = same.findLast((one) => one.model === content.model && one.name === null);
      return unnamed === undefined ? null : alreadyThere(registration, unnamed);
    }
    if ((await versions.byName(content.model, name)) === null) {
      const aliased = await versions.byAlias(content.model, name);
      if (aliased === null) return null;
      throw new LastgoodError(
        "name.invalid",
        `"${name}" is an alias of ${content.model}: it points at ${versionLabel(aliased)}`,
        {
          hint: "give the version another name, or delete the alias first",
        },
      );
    }
    const taken = await versions.byName(content.model, name);
    if (taken === null) return null;
    if (taken.digest === content.digest) return alreadyThere(registration, taken);
    throw new LastgoodError(
      "version.exists",
      `${content.model}@${name} exists with other bytes: it has ${taken.digest}, these have ${content.digest}`,
      {
        hint: "versions never change: register these bytes under a new name",
        details: {
          model: content.model,
          name,
          sequence: taken.sequence,
          digest: taken.digest,
          given: content.digest,
        },
      },
    );
  }

  async #verifyFiles(files: readonly ArtefactFile[]): Promise<void> {
    for (const { path, digest } of files) {
      const verdict = await this.#on.artifacts.verify(digest);
      if (verdict === "ok") continue;
      throw new LastgoodError(
        verdict === "corrupt" ? "artifact.corrupt" : "artifact.missing",
        `the stored bytes of ${path} are ${verdict}: ${digest}`,
        { hint: "upload the file again, then register it again", details: { path, digest } },
      );
    }
  }

  /**
   * An example is read by the signature that loading found, so it may cost a second load. Where there is
   * one, a server is not asked what was generated: it may not bear that.
   */
  async #inspect(registration: Registration, content: Content): Promise<Inspected> {
    const ask = async (examples: WireTensor[][], describeOnly = false): Promise<Inspected> => {
      const inspected = await this.#on.inspect({
        digest: content.digest,
        runtime: content.runtime,
        files: [...content.files],
        signature: registration.signature,
        examples,
        describeOnly,
      });
      const signature = signatureSchema.parse(withTables(inspected.signature, registration));
      return { ...inspected, signature };
    };
    const { inputExample, signature: given } = registration;
    const hasExample = inputExample !== null && inputExample !== undefined;
    // Where it was given, the example can be read before anything is loaded.
    if (hasExample && given !== null)
      return ask([exampleToInputs(inputExample, withTables(given, registration))]);
    const found = await ask([], hasExample);
    return hasExample ? ask([exampleToInputs(inputExample, found.signature)]) : found;
  }

  async #storeVersion(
    registration: Registration,
    content: Content,
    {
      inspected,
      reference,
    }: { readonly inspected: Inspected; readonly reference: ReferenceSet | null },
  ): Promise<RegisteredVersion> {
    const { store, artifacts, clock } = this.#on;
    const manifest: StoredManifest = {
      model: content.model,
      name: registration.name,
      sequence: await this.#nextSequence(content.model),
      runtime: content.runtime,
      files: [...content.files],
      signature: inspected.signature,
      batching: inspected.batching,
      engine: inspected.engine,
      golden: inspected.golden,
      inputExample: registration.inputExample ?? null,
      reference,
      metrics: registration.metrics,
      params: registration.params,
      lineage: registration.lineage,
      registeredAt: clock.now(),
      registeredBy: registration.actor,
      ...(inspected.process === undefined ? {} : { process: inspected.process }),
    };
    await artifacts.manifests.write(manifest);
    try {
      await storeRow(this.#on, { manifest, digest: content.digest, tags: registration.tags });
    } catch (error) {
      await artifacts.manifests.remove(content.model, manifest.sequence).catch((left: unknown) => {
        this.#on.log.warn({ err: left }, "the manifest of a version that was not stored is left");
      });
      throw error;
    }
    const version = await store.versions.bySequence(content.model, manifest.sequence);
    if (version === null) throw new LastgoodError("internal", "a stored version is not there");
    return { created: true, version, notes: notesOn(inspected, reference) };
  }

  /** The number after the newest, beyond any manifest that stands there without its row. */
  async #nextSequence(model: string): Promise<number> {
    let sequence = ((await this.#on.store.models.get(model))?.versions ?? 0) + 1;
    while (await this.#manifestStands(model, sequence)) sequence += 1;
    return sequence;
  }

  async #manifestStands(model: string, sequence: number): Promise<boolean> {
    try {
      return (await this.#on.artifacts.manifests.read(model, sequence)) !== null;
    } catch (error) {
      if (error instanceof LastgoodError && error.code === "artifact.corrupt") return true;
      throw error;
    }
  }

  async #oneAtATime<T>(model: string, work: () => Promise<T>): Promise<T> {
    const before = this.#storing.get(model) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    this.#storing.set(model, settled);
    try {
      return await mine;
    } finally {
      if (this.#storing.get(model) === settled) this.#storing.delete(model);
    }
  }
}

/** Stores a version's row, tags and history entry, all or nothing. */
export async function storeRow(
  { store }: Pick<RegistryDependencies, "store">,
  row: {
    readonly manifest: StoredManifest;
    readonly digest: Digest;
    readonly tags: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const { manifest, digest, tags } = row;
  const { model, name, sequence } = manifest;
  await store.transaction(async (nouns) => {
    if (!(await nouns.versions.insert({ manifest, digest }))) {
      throw new LastgoodError(
        "version.exists",
        `${model} has a version ${name ?? sequence} already`,
        {
          details: { model, name, sequence },
        },
      );
    }
    await nouns.versions.tag({ model, sequence, set: tags, unset: [] });
    await nouns.history.append(modelHistory(model), [
      {
        at: manifest.registeredAt,
        kind: "registered",
        actor: manifest.registeredBy,
        reason: null,
        data: { sequence, name, digest },
        key: `registered ${sequence}`,
      },
    ]);
  });
}

function alreadyThere(registration: Registration, version: VersionRecord): RegisteredVersion {
  const label = versionLabel(version);
  const differing = (["metrics", "params", "lineage", "tags"] as const).filter(
    (field) =>
      Object.keys(registration[field]).length > 0 &&
      canonicalJson(registration[field]) !== canonicalJson(version[field]),
  );
  const kept = `the ${differing.join(", ")} given now differ and were not taken over`;
  return {
    created: false,
    version,
    notes: [
      `${version.model}@${label} is registered with these bytes already; nothing was changed`,
      ...(registration.reference === null
        ? []
        : ["the reference set given now was not taken over: versions never change"]),
      ...(differing.length === 0 ? [] : [kept]),
    ],
  };
}

function notesOn(inspected: Inspected, reference: ReferenceSet | null): string[] {
  const notes = inspected.dropped.map((why) => `an input threw and became no sample: ${why}`);
  if (inspected.golden.length === 0)
    notes.push("there are no golden samples: a proof of this version cannot compare answers");
  if (reference !== null && reference.leftOut > 0)
    notes.push(
      `drift of inputs is watched for the first ${reference.features.length} features; ${reference.leftOut} are left out`,
    );
  if (!inspected.batching.on) notes.push(`batching is off: ${inspected.batching.why}`);
  notes.push(...(inspected.notes ?? []));
  return notes;
}
