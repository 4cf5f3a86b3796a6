import type {
  ArchiveBody,
  Diff,
  EndpointService,
  MarkBody,
  Marked,
  ModelSummary,
  RegisterBody,
  Registered,
  TagBody,
  VersionSummary,
  VersionView,
} from "../../core/api/index.ts";
import { versionLabel, type ModelName } from "../../core/version/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";
import { summaryOf, type RegistryService } from "../registry/index.ts";

const PAGE = 1_000;

/** What a version reference stands for. */
export interface Resolved {
  readonly model: ModelName;
  readonly version: VersionView | null;
}

/** Which part of a list is wanted. */
export interface ListPage {
  /** Only versions beyond this sequence number. */
  readonly after: number;
  /** At most so many; null: all. */
  readonly limit: number | null;
}

/** What the service is built on. */
export interface ModelServiceDeps {
  readonly registry: RegistryService;
  readonly endpoints: EndpointService;
}

/** Models and versions in the form the API gives them, with what endpoints know of them. */
export class ModelService {
  readonly #registry: RegistryService;
  readonly #endpoints: EndpointService;

  constructor(deps: ModelServiceDeps) {
    this.#registry = deps.registry;
    this.#endpoints = deps.endpoints;
  }

  async models(): Promise<readonly ModelSummary[]> {
    const all: ModelSummary[] = [];
    for (;;) {
      const after = all.at(-1)?.name ?? "";
      const page = await this.#registry.models({ after, limit: PAGE });
      for (const { name, versions, newest } of page)
        all.push({ name, versions, newest: newest === null ? null : versionLabel(newest) });
      if (page.length < PAGE) return all;
    }
  }

  /** By sequence number. @throws `model.not-found`. */
  async versions(model: string, wanted: ListPage): Promise<readonly VersionSummary[]> {
    const all: VersionSummary[] = [];
    const most = wanted.limit ?? Number.POSITIVE_INFINITY;
    for (;;) {
      const after = all.at(-1)?.sequence ?? wanted.after;
      const limit = Math.min(PAGE, most - all.length);
      const page = await this.#registry.versions({ model, after, limit });
      for (const version of page) all.push(summaryOf(version));
      if (page.length < limit || all.length >= most) return all;
    }
  }

  async version(model: string, selector: string): Promise<VersionView> {
    return this.#view(await this.#registry.version(model, selector));
  }

  async register(model: string, body: RegisterBody): Promise<Registered> {
    const { created, version, notes } = await this.#registry.register({ ...body, model });
    return { created, version: await this.#view(version), notes: [...notes] };
  }

  async tag(model: string, selector: string, body: TagBody): Promise<VersionSummary> {
    const version = await this.#registry.version(model, selector);
    return summaryOf(await this.#registry.tag(version, body));
  }

  async setAlias(
    model: string,
    alias: string,
    body: { readonly version: string; readonly actor: string },
  ): Promise<VersionSummary> {
    const version = await this.#registry.version(model, body.version);
    return summaryOf(await this.#registry.setAlias(version, alias, body.actor));
  }

  async deleteAlias(model: string, alias: string, actor: string): Promise<void> {
    await this.#registry.deleteAlias(model, alias, actor);
  }

  /**
   * Lets every endpoint that knows the version draw its consequences, then writes the verdict: one
   * that an endpoint refuses changes nothing. The same `operation` again does what is left of it.
   */
  async mark(model: string, selector: string, body: MarkBody, operation?: string): Promise<Marked> {
    const before = await this.#registry.version(model, selector);
    const { sequence } = before;
    const consequences = await this.#endpoints.versionMarked(model, sequence, body, operation);
    await this.#registry.mark(before, body, operation);
    this.#endpoints.versionsChanged(model);
    const version = await this.#registry.version(model, {
      by: "sequence",
      sequence: before.sequence,
    });
    return { version: summaryOf(version), consequences: [...consequences] };
  }

  async archive(
    model: string,
    selector: string,
    body: ArchiveBody,
    operation?: string,
  ): Promise<VersionSummary> {
    const version = await this.#registry.version(model, selector);
    const archived = await this.#registry.archive(version, body, operation);
    this.#endpoints.versionsChanged(model);
    return summaryOf(archived);
  }

  async diff(model: string, left: string, right: string): Promise<Diff> {
    return this.#registry.diff(
      await this.#registry.version(model, left),
      await this.#registry.version(model, right),
    );
  }

  /** Of a reference that names a model alone the version is null. */
  async resolve(reference: string): Promise<Resolved> {
    const { model, selector } = await this.#registry.parseReference(reference);
    if (selector === null) {
      await this.#registry.model(model);
      return { model, version: null };
    }
    return { model, version: await this.#view(await this.#registry.version(model, selector)) };
  }

  async #view(version: VersionRecord): Promise<VersionView> {
    return this.#registry.view(version, {
      servedBy: this.#endpoints.servedBy(version.model, version.sequence),
      servers: this.#endpoints.serversOf(version.digest),
    });
  }
}
