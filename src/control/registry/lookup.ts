import { didYouMean, LastgoodError, nearNames } from "../../core/errors/index.ts";
import {
  parseVersionReference,
  parseVersionSelector,
  versionLabel,
  type VersionReference,
  type VersionSelector,
} from "../../core/version/index.ts";
import type { ModelRecord, Store, VersionRecord } from "../../storage/store/index.ts";

/** How many names are looked through for one that was meant. */
const NAMES_SEARCHED = 1_000;

/** Finds models and versions by what people type. */
export class Lookup {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws `model.not-found`. */
  async model(name: string): Promise<ModelRecord> {
    const model = await this.#store.models.get(name);
    if (model !== null) return model;
    const known = await this.#store.models.list({ limit: NAMES_SEARCHED });
    const names = known.map((record) => record.name);
    const near = nearNames(name, names);
    const some = names.slice(0, 5).join(", ");
    throw new LastgoodError("model.not-found", `no model is called "${name}"`, {
      hint:
        didYouMean(near) ??
        (some === "" ? "none is registered yet: lastgood register NAME FILE" : `there are ${some}`),
      details: { model: name, near },
    });
  }

  /**
   * A version of a model. A name that no version has is tried as an alias.
   * @throws `model.not-found`, `version.not-found`, `alias.not-found`, `reference.invalid`.
   */
  async version(model: string, selector: string | VersionSelector): Promise<VersionRecord> {
    const wanted = typeof selector === "string" ? parseVersionSelector(selector) : selector;
    const found = await this.#find(model, wanted);
    if (found !== null) return found;
    await this.model(model);
    throw await this.#notFound(model, wanted);
  }

  /** A reference in any spelling, such as `fraud@v1.1` or `models:/fraud/2`, taken apart. */
  async parse(text: string): Promise<VersionReference> {
    const candidates = [text];
    for (let cut = text.indexOf("_"); cut >= 0; cut = text.indexOf("_", cut + 1))
      candidates.push(text.slice(0, cut));
    const models = await this.#store.models.existing(candidates.slice(0, 200));
    const named = /^([^@:]+)[@:](.+)$/.exec(text);
    const aliased =
      named?.[1] !== undefined &&
      named[2] !== undefined &&
      (await this.#store.versions.byName(named[1], named[2])) === null &&
      (await this.#store.versions.byAlias(named[1], named[2])) !== null;
    return parseVersionReference(text, models, () => aliased);
  }

  /**
   * The version a reference names.
   * @throws `reference.invalid` also where it names a model and no version.
   */
  async reference(text: string): Promise<VersionRecord> {
    const { model, selector } = await this.parse(text);
    if (selector !== null) return this.version(model, selector);
    const { newest } = await this.model(model);
    throw new LastgoodError("reference.invalid", `"${text}" names a model but no version of it`, {
      hint: newest === null ? undefined : `for example ${model}@${newest.name ?? newest.sequence}`,
    });
  }

  async #find(model: string, wanted: VersionSelector): Promise<VersionRecord | null> {
    const { versions } = this.#store;
    if (wanted.by === "sequence") return versions.bySequence(model, wanted.sequence);
    if (wanted.by === "alias") return versions.byAlias(model, wanted.alias);
    return (
      (await versions.byName(model, wanted.name)) ?? (await versions.byAlias(model, wanted.name))
    );
  }

  async #notFound(model: string, wanted: VersionSelector): Promise<LastgoodError> {
    const aliases = Object.keys(await this.#store.versions.aliases(model));
    if (wanted.by === "alias") {
      const near = nearNames(wanted.alias, aliases);
      const some = aliases.slice(0, 5).join(", ");
      return new LastgoodError("alias.not-found", `${model} has no alias "${wanted.alias}"`, {
        hint: didYouMean(near) ?? (some === "" ? undefined : `it has ${some}`),
        details: { model, alias: wanted.alias, near },
      });
    }
    const versions = await this.#store.versions.list({
      model,
      newestFirst: true,
      limit: NAMES_SEARCHED,
    });
    const text = wanted.by === "name" ? wanted.name : String(wanted.sequence);
    const names = versions.map((version) => version.name).filter((name) => name !== null);
    const near = nearNames(text, [...names, ...aliases]);
    const some = versions.slice(0, 5).map((version) => versionLabel(version));
    return new LastgoodError("version.not-found", `${model} has no version ${text}`, {
      hint: didYouMean(near) ?? `its newest are ${some.join(", ")}`,
      details: { model, version: text, near },
    });
  }
}
