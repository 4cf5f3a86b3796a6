import { LastgoodError } from "../errors/index.ts";
import { parseModelName, type ModelName } from "./name.ts";

/** Which version of a model is meant. */
export type VersionSelector =
  | { readonly by: "name"; readonly name: string }
  | { readonly by: "sequence"; readonly sequence: number }
  | { readonly by: "alias"; readonly alias: string };

/** A model and, where one was given, which of its versions. */
export interface VersionReference {
  readonly model: ModelName;
  readonly selector: VersionSelector | null;
}

/** `3` is a sequence number, `@champion` an alias, everything else a name. */
export function parseVersionSelector(text: string): VersionSelector {
  if (/^\d{1,9}$/.test(text)) return { by: "sequence", sequence: Number(text) };
  if (/^@.+/.test(text)) return { by: "alias", alias: text.slice(1) };
  if (text === "" || /[\s/:@]/.test(text)) {
    throw new LastgoodError("reference.invalid", `"${text}" does not name a version`, {
      hint: "accepted are a name (v1.1), a sequence number (3) or an alias (@champion)",
    });
  }
  return { by: "name", name: text };
}

function parseModelsUri(rest: string, text: string): VersionReference {
  const match = /^\/([^/@]+)(?:\/([^/]+)|@([^/]+))?$/.exec(rest);
  if (match?.[1] === undefined) throw malformed(text);
  const model = parseModelName(match[1]);
  if (match[3] !== undefined) return { model, selector: { by: "alias", alias: match[3] } };
  return { model, selector: match[2] === undefined ? null : parseVersionSelector(match[2]) };
}

function malformed(text: string): LastgoodError {
  return new LastgoodError("reference.invalid", `"${text}" does not name a model version`, {
    hint: "accepted are fraud@v1.1, fraud:v1.1, fraud_v1.1, fraud@3, models:/fraud/3 and models:/fraud@champion",
  });
}

/**
 * Reads a version reference in any of the accepted spellings. `models` are the registered names:
 * they decide where `fraud_v1.1` is cut (the longest name wins) and whether `fraud@champion` means
 * an alias (`isAlias`).
 * @throws `reference.invalid` when the text fits none of them.
 */
export function parseVersionReference(
  text: string,
  models: readonly string[],
  isAlias: (model: string, alias: string) => boolean = () => false,
): VersionReference {
  if (text.startsWith("models:")) return parseModelsUri(text.slice("models:".length), text);
  if (text.startsWith("runs:")) {
    throw new LastgoodError("reference.invalid", `"${text}": this server keeps no runs`, {
      hint: "name the registered version instead, for example fraud@v1.1",
    });
  }
  if (models.includes(text)) return { model: parseModelName(text), selector: null };
  const cut = /^([^@:]+)[@:](.+)$/.exec(text);
  if (cut?.[1] !== undefined && cut[2] !== undefined) {
    const selector = parseVersionSelector(cut[2]);
    const named = selector.by === "name" && isAlias(cut[1], selector.name);
    return {
      model: parseModelName(cut[1]),
      selector: named ? { by: "alias", alias: selector.name } : selector,
    };
  }
  const prefixes = models.filter((model) => text.startsWith(`${model}_`));
  const longest = prefixes.toSorted((a, b) => b.length - a.length)[0];
  if (longest !== undefined) {
    return {
      model: parseModelName(longest),
      selector: parseVersionSelector(text.slice(longest.length + 1)),
    };
  }
  if (/[@:/]/.test(text)) throw malformed(text);
  return { model: parseModelName(text), selector: null };
}
