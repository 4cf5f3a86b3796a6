import { readFileSync } from "node:fs";

import { parseDocument } from "yaml";

import { LastgoodError } from "../../core/errors/index.ts";

/** Longest text that is read, characters. */
const MAX_LENGTH = 16 * 1024 * 1024;

/**
 * YAML of somebody else's tool as plain data, null when it is empty.
 * @throws `artifact.invalid` when it is none, with the parser's own words; `name` says what it was.
 */
export function parseYaml(text: string, name: string): unknown {
  if (text.length > MAX_LENGTH)
    throw new LastgoodError("artifact.invalid", `${name} is longer than ${MAX_LENGTH} characters`);
  const document = parseDocument(text, { uniqueKeys: true });
  const [broken] = document.errors;
  if (broken !== undefined)
    throw new LastgoodError("artifact.invalid", `${name} is no YAML: ${broken.message}`);
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("artifact.invalid", `${name} is no YAML: ${why}`, { cause });
  }
}

/** A YAML file. @throws as `parseYaml`. */
export function readYamlFile(path: string): unknown {
  return parseYaml(readFileSync(path, "utf8"), path);
}
