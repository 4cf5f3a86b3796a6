import { LastgoodError } from "../errors/index.ts";

declare const modelName: unique symbol;
declare const versionName: unique symbol;
declare const endpointName: unique symbol;
declare const digest: unique symbol;

/** A registered model's name. */
export type ModelName = string & { readonly [modelName]: true };
/** A version's own name, such as `v1.1`. */
export type VersionName = string & { readonly [versionName]: true };
/** An endpoint's name; it is part of client URLs. */
export type EndpointName = string & { readonly [endpointName]: true };
/** `sha256:` and 64 lower-case hex digits. */
export type Digest = string & { readonly [digest]: true };

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const RESERVED = new Set(["latest", "final", "backup"]);

function checkName(kind: string, text: string, example: string): string {
  if (NAME.test(text) && !text.includes("..")) return text;
  throw new LastgoodError("name.invalid", `"${text}" is not ${kind} name`, {
    hint: `letters, digits, ".", "_" and "-" are accepted, 128 at most, the first a letter or digit, no "..": for example ${example}`,
  });
}

/** @throws `name.invalid` for what could not stand in a URL or a file name. */
export function parseModelName(text: string): ModelName {
  return checkName("a model", text, "fraud") as ModelName;
}

/** @throws `name.invalid` for what could not stand in a URL or a file name. */
export function parseEndpointName(text: string): EndpointName {
  return checkName("an endpoint", text, "fraud-prod") as EndpointName;
}

/**
 * A version's name.
 * @throws `name.reserved` for `latest`, `final`, `backup` and digits alone; `name.invalid` otherwise.
 */
export function parseVersionName(text: string): VersionName {
  if (RESERVED.has(text.toLowerCase())) {
    throw new LastgoodError(
      "name.reserved",
      `"${text}" cannot name a version: it says nothing that stays true, and a rollback must find one exact set of bytes`,
      { hint: "give it a name that is never reused, for example --version v1.1" },
    );
  }
  if (/^\d+$/.test(text)) {
    throw new LastgoodError(
      "name.reserved",
      `"${text}" cannot name a version: digits alone are the sequence number that registering assigns`,
      { hint: `for example --version v${text}.0, or leave --version out` },
    );
  }
  return checkName("a version", text, "v1.1") as VersionName;
}

/** An alias, such as `champion`. @throws `name.invalid`, `name.reserved`. */
export function parseAlias(text: string): string {
  if (RESERVED.has(text.toLowerCase()) || /^v?\d/i.test(text)) {
    throw new LastgoodError("name.reserved", `"${text}" cannot be an alias`, {
      hint: "an alias is a word that does not look like a version: for example champion",
    });
  }
  return checkName("an alias", text, "champion");
}

/** @throws `reference.invalid` when it is not `sha256:` and 64 lower-case hex digits. */
export function parseDigest(text: string): Digest {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text as Digest;
  throw new LastgoodError("reference.invalid", `"${text}" is not a digest`, {
    hint: "accepted is sha256: followed by 64 lower-case hex digits",
  });
}

/** Where an artefact with this digest lies below the data folder. */
export function blobPath(of: Digest): string {
  return `blobs/sha256/${of.slice("sha256:".length)}`;
}
