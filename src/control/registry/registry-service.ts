import type { Diff, VersionView } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  parseAlias,
  versionLabel,
  type VersionReference,
  type VersionSelector,
} from "../../core/version/index.ts";
import type { HistoryDraft } from "../../storage/history/index.ts";
import type { ModelRecord, VersionPage, VersionRecord } from "../../storage/store/index.ts";
import { modelHistory, type RegistryDependencies } from "./dependencies.ts";
import { compareVersions, type Compared } from "./diff.ts";
import { Lookup } from "./lookup.ts";
import { Registrar, type RegisteredVersion, type Registration } from "./registration.ts";
import { repairRegistry, type Repaired } from "./repair.ts";
import { viewOf } from "./view.ts";

/** A person's or an endpoint's verdict on a version. */
export interface Verdict {
  readonly status: "stable" | "failed" | "pending";
  readonly reason: string | null;
  readonly actor: string;
}

/** Models and their versions: registering, finding, naming, judging, comparing. */
export class RegistryService {
  readonly #on: RegistryDependencies;
  readonly #lookup: Lookup;
  readonly #registrar: Registrar;

  constructor(dependencies: RegistryDependencies) {
    this.#on = dependencies;
    this.#lookup = new Lookup(dependencies.store);
    this.#registrar = new Registrar(dependencies);
  }

  /**
   * To be called once before anything else: repairs what a crash or a lost store left apart.
   * @throws `store.unavailable`.
   */
  async start(): Promise<Repaired> {
    const repaired = await repairRegistry(this.#on);
    const { inserted, rewritten, problems } = repaired;
    if (inserted > 0 || rewritten > 0)
      this.#on.log.info({ inserted, rewritten }, "registry repaired");
    for (const problem of problems)
      this.#on.log.warn({ problem }, "a version could not be repaired");
    return repaired;
  }

  /**
   * Stores a version, once a gateway has loaded it and run its samples. The same bytes under the
   * same name again: nothing happens, and the answer says so.
   * @throws `version.exists` for other bytes; `name.invalid`, `name.reserved`, `input.invalid`,
   * `artifact.missing`, `artifact.corrupt`, `gateway.unavailable`, and what inspecting it found.
   */
  async register(registration: Registration): Promise<RegisteredVersion> {
    return this.#registrar.register(registration);
  }

  /** Models by name. */
  async models(page?: { after?: string; limit?: number }): Promise<readonly ModelRecord[]> {
    return this.#on.store.models.list(page);
  }

  /** @throws `model.not-found` with names that come near. */
  async model(name: string): Promise<ModelRecord> {
    return this.#lookup.model(name);
  }

  /** Versions of a model, ordered by sequence. @throws `model.not-found`. */
  async versions(page: VersionPage): Promise<readonly VersionRecord[]> {
    await this.#lookup.model(page.model);
    return this.#on.store.versions.list(page);
  }

  /**
   * A version by name, sequence number or alias (`v1.1`, `3`, `@champion`).
   * @throws `model.not-found`, `version.not-found`, `alias.not-found` with names that come near.
   */
  async version(model: string, selector: string | VersionSelector): Promise<VersionRecord> {
    return this.#lookup.version(model, selector);
  }

  /** The version a reference such as `fraud@v1.1` or `models:/fraud/2` names. */
  async reference(text: string): Promise<VersionRecord> {
    return this.#lookup.reference(text);
  }

  /** Takes a reference apart; which version it is need not exist. */
  async parseReference(text: string): Promise<VersionReference> {
    return this.#lookup.parse(text);
  }

  /** Everything about a version, with what the caller knows of endpoints. */
  async view(
    version: VersionRecord,
    known: Pick<VersionView, "servedBy" | "servers"> = { servedBy: [], servers: [] },
  ): Promise<VersionView> {
    return viewOf(version, (await this.#compared(version)).manifest, known);
  }

  /** Sets and removes tags. */
  async tag(
    version: VersionRecord,
    change: {
      set: Readonly<Record<string, string>>;
      unset: readonly string[];
      actor: string;
    },
  ): Promise<VersionRecord> {
    const { model, sequence } = version;
    const { set, unset, actor } = change;
    await this.#on.store.transaction(async (nouns) => {
      await nouns.versions.tag({ model, sequence, set, unset });
      await nouns.history.append(modelHistory(model), [
        this.#entry("tagged", actor, null, { sequence, name: version.name, set, unset }),
      ]);
    });
    return this.version(model, { by: "sequence", sequence });
  }

  /** Points an alias at a version. @throws `name.invalid`, `name.reserved`. */
  async setAlias(version: VersionRecord, text: string, actor: string): Promise<VersionRecord> {
    const { model, sequence } = version;
    const alias = parseAlias(text);
    await this.#on.store.transaction(async (nouns) => {
      if ((await nouns.versions.byName(model, alias)) !== null) {
        throw new LastgoodError("name.invalid", `"${alias}" is the name of a version of ${model}`, {
          hint: "choose an alias that no version is called by",
        });
      }
      const before = (await nouns.versions.byAlias(model, alias))?.sequence ?? null;
      if (before === sequence) return;
      await nouns.versions.setAlias(model, alias, sequence);
      await nouns.history.append(modelHistory(model), [
        this.#entry("aliased", actor, null, { alias, from: before, to: sequence }),
      ]);
    });
    return this.version(model, { by: "sequence", sequence });
  }

  /** @throws `alias.not-found`, `model.not-found`. */
  async deleteAlias(model: string, alias: string, actor: string): Promise<void> {
    const { sequence } = await this.version(model, { by: "alias", alias });
    await this.#on.store.transaction(async (nouns) => {
      await nouns.versions.deleteAlias(model, alias);
      await nouns.history.append(modelHistory(model), [
        this.#entry("alias deleted", actor, null, { alias, from: sequence }),
      ]);
    });
  }

  /**
   * Writes a verdict; the latest wins. What it means for endpoints is not decided here. The same
   * `operation` again changes nothing, whatever became of the version since.
   */
  async mark(version: VersionRecord, verdict: Verdict, operation?: string): Promise<VersionRecord> {
    const { status, reason, actor } = verdict;
    if (version.status === status && version.statusReason === reason) return version;
    return this.#setStatus(version, { status, reason, actor, kind: "marked", operation });
  }

  /**
   * Takes a version out of use; its files stay.
   * @throws `version.in-use` naming every endpoint that needs it.
   */
  async archive(
    version: VersionRecord,
    how: { actor: string; reason: string | null; dryRun?: boolean },
    operation?: string,
  ): Promise<VersionRecord> {
    const { model, sequence } = version;
    if (operation !== undefined && (await this.#wasDone(model, operation))) return version;
    const needed = await this.#on.neededBy(model, sequence);
    if (needed.length > 0) {
      throw new LastgoodError(
        "version.in-use",
        `${model}@${versionLabel(version)} is needed: ${needed.join("; ")}`,
        {
          hint: "deploy another version there first",
          details: { model, sequence, neededBy: needed },
        },
      );
    }
    if (how.dryRun === true || version.status === "archived") return version;
    const { actor, reason } = how;
    const archived = { status: "archived", reason, actor, kind: "archived", operation } as const;
    return this.#setStatus(version, archived);
  }

  #wasDone(model: VersionRecord["model"], operation: string): Promise<boolean> {
    return this.#on.store.history.hasKey(modelHistory(model), operation);
  }

  /** Two versions of one model side by side. */
  async diff(left: VersionRecord, right: VersionRecord): Promise<Diff> {
    return compareVersions(
      await this.#compared(left),
      await this.#compared(right),
      this.#on.inspect,
    );
  }

  async #compared(record: VersionRecord): Promise<Compared> {
    const manifest = await this.#on.store.versions.manifest(record.model, record.sequence);
    if (manifest === null) throw new LastgoodError("internal", "a stored version is not there");
    return { record, manifest };
  }

  async #setStatus(
    version: VersionRecord,
    change: {
      status: VersionRecord["status"];
      reason: string | null;
      actor: string;
      kind: string;
      operation: string | undefined;
    },
  ): Promise<VersionRecord> {
    const { model, sequence, name } = version;
    const { status, reason, actor, kind, operation } = change;
    const facts = { sequence, name, status, was: version.status };
    const entry = {
      ...this.#entry(kind, actor, reason, facts),
      ...(operation === undefined ? {} : { key: operation }),
    };
    await this.#on.store.transaction(async (nouns) => {
      const [noted] = await nouns.history.append(modelHistory(model), [entry]);
      // A repeat of what was done before: somebody may have said otherwise since.
      if (noted === undefined) return;
      await nouns.versions.mark({ model, sequence, status, reason, at: entry.at });
    });
    return this.version(model, { by: "sequence", sequence });
  }

  #entry(
    kind: string,
    actor: string,
    reason: string | null,
    data: Readonly<Record<string, unknown>>,
  ): HistoryDraft {
    return { at: this.#on.clock.now(), kind, actor, reason, data };
  }
}
