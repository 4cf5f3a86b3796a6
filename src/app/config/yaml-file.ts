import { readFileSync } from "node:fs";

import { isCollection, isNode, LineCounter, parseDocument, type Document } from "yaml";
import type * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";

/** Longest configuration file, bytes. */
const MAX_BYTES = 1024 * 1024;

/**
 * A YAML file checked against a schema.
 * @throws `config.invalid` with the line and column of each mistake.
 */
export function readYaml<S extends z.ZodType>(path: string, schema: S): z.infer<S> {
  const text = readText(path);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const at = lines.linePos(broken.pos[0]);
    throw invalid(path, [`${path}:${at.line}:${at.col}: ${firstLine(broken.message)}`]);
  }
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 10 }) ?? {});
  if (parsed.success) return parsed.data;
  throw invalid(
    path,
    parsed.error.issues.map((issue) => {
      const at = positionOf(document, lines, issue.path);
      const name = issue.path.map(String).join(".");
      return `${path}:${at.line}:${at.col}: ${name === "" ? "" : `${name}: `}${issue.message}`;
    }),
  );
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("config.invalid", `${path} cannot be read: ${why}`, { cause });
  }
  if (bytes.length > MAX_BYTES) throw invalid(path, [`${path}: is longer than ${MAX_BYTES} bytes`]);
  return bytes.toString("utf8");
}

function positionOf(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
): { line: number; col: number } {
  for (let length = path.length; length >= 0; length -= 1) {
    const keys = path.slice(0, length);
    const node = length === 0 ? document.contents : document.getIn(keys, true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]);
    if (isCollection(node)) break;
  }
  return { line: 1, col: 1 };
}

function invalid(path: string, mistakes: readonly string[]): LastgoodError {
  const more = mistakes.length > 1 ? ` (and ${mistakes.length - 1} more)` : "";
  return new LastgoodError("config.invalid", `${mistakes[0] ?? path}${more}`, {
    hint: `correct ${path} and try again`,
    details: { file: path, mistakes },
  });
}

function firstLine(text: string): string {
  return text.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? text;
}
