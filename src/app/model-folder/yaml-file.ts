import { readFileSync } from "node:fs";

import { parseDocument } from "yaml";

import { LastgoodError } from "../../core/errors/index.ts";

/** Longest file that is read, bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * A YAML file of somebody else's tool as plain data, null when it is empty.
 * @throws `artifact.invalid` when it is none, with the parser's own words.
 */
export function readYamlFile(path: string): unknown {
  const bytes = readFileSync(path);
  if (bytes.length > MAX_BYTES)
    throw new LastgoodError("artifact.invalid", `${path} is longer than ${MAX_BYTES} bytes`);
  const document = parseDocument(bytes.toString("utf8"), { uniqueKeys: true });
  const [broken] = document.errors;
  if (broken !== undefined)
    throw new LastgoodError("artifact.invalid", `${path} is no YAML: ${broken.message}`);
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("artifact.invalid", `${path} is no YAML: ${why}`, { cause });
  }
}
