import { readFileSync } from "node:fs";

import {
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  parseAllDocuments,
  parseDocument,
  visit,
  type Alias,
  type Document,
  type DocumentOptions,
  type ParseOptions,
  type SchemaOptions,
} from "yaml";
import type * as z from "zod";

import { LastgoodError, plainWords } from "../../core/errors/index.ts";

/** Longest configuration file, bytes. */
const MAX_BYTES = 1024 * 1024;

/** One document of a file: as it is written, and as its schema reads it. */
export interface ReadDocument<T> {
  readonly written: unknown;
  readonly value: T;
  /** Line of the file it begins on. */
  readonly line: number;
}

/** A file that is being read, with what is needed to say where something is. */
interface Source {
  readonly path: string;
  readonly lines: LineCounter;
}

/**
 * A YAML file checked against a schema.
 * @throws `config.invalid` with the line and column of each mistake.
 */
export function readYaml<S extends z.ZodType>(path: string, schema: S): z.infer<S> {
  const text = readText(path);
  const source = { path, lines: new LineCounter() };
  const document = parseDocument(text, optionsOf(source));
  return readDocument(source, document, schema).value;
}

/**
 * A YAML file of several documents, each checked against the schema; empty ones are passed over.
 * @throws `config.invalid` with the line and column of each mistake.
 */
export function readYamlDocuments<S extends z.ZodType>(
  path: string,
  schema: S,
): readonly ReadDocument<z.infer<S>>[] {
  const text = readText(path);
  const source = { path, lines: new LineCounter() };
  const parsed = parseAllDocuments(text, optionsOf(source));
  const documents = "empty" in parsed ? [] : parsed;
  return documents
    .filter((document) => document.errors.length > 0 || !isEmpty(document))
    .map((document) => readDocument(source, document, schema));
}

/** Plain data alone: a key is a text, and `!!binary` and its like stand for nothing here. */
function optionsOf({ lines }: Source): ParseOptions & DocumentOptions & SchemaOptions {
  return { lineCounter: lines, uniqueKeys: true, stringKeys: true, resolveKnownTags: false };
}

function isEmpty({ contents }: Document.Parsed): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function readDocument<S extends z.ZodType>(
  source: Source,
  document: Document.Parsed,
  schema: S,
): ReadDocument<z.infer<S>> {
  const { path, lines } = source;
  // What the parser only warns of is a tag that it does not know: the value would be another one.
  const [broken] = [...document.errors, ...document.warnings];
  if (broken !== undefined)
    throw invalid(path, [`${place(source, broken.pos[0])}: ${firstLine(broken.message)}`]);
  const written = plain(source, document);
  const parsed = schema.safeParse(written, { error: plainWords });
  const line = lines.linePos(document.contents?.range?.[0] ?? 0).line;
  if (parsed.success) return { written, value: parsed.data, line };
  throw invalid(
    path,
    parsed.error.issues.map((issue) => {
      const name = issue.path.map(String).join(".");
      const at = place(source, offsetOf(document, issue));
      return `${at}: ${name === "" ? "" : `${name}: `}${issue.message}`;
    }),
  );
}

/** The document as plain data; aliases without an anchor or without end are refused. */
function plain(source: Source, document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 10 }) ?? {};
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const loose = looseAlias(document);
    throw invalid(source.path, [
      loose === null
        ? `${source.path}: ${firstLine(why)}`
        : `${place(source, loose.range?.[0] ?? 0)}: nothing before it is called &${loose.source}`,
    ]);
  }
}

/** The first alias that names no anchor before it, or null. */
function looseAlias(document: Document.Parsed): Alias | null {
  let loose: Alias | null = null;
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return undefined;
      loose = alias;
      return visit.BREAK;
    },
  });
  return loose;
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
  // A byte order mark is no character of the first line.
  return bytes.toString("utf8").replace(/^\uFEFF/, "");
}

function place({ path, lines }: Source, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${path}:${line}:${col}`;
}

/** Where the mistake is: an unknown key itself, else the value, else the nearest thing around it. */
function offsetOf(document: Document.Parsed, issue: z.core.$ZodIssue): number {
  const { path } = issue;
  const [key] = issue.code === "unrecognized_keys" ? issue.keys : [];
  for (let length = path.length; length >= 0; length -= 1) {
    const keys = path.slice(0, length);
    const node = length === 0 ? document.contents : document.getIn(keys, true);
    const offset = length === path.length ? keyOffset(node, key) : null;
    if (offset !== null) return offset;
    if (isNode(node) && node.range) return node.range[0];
    if (isCollection(node)) break;
  }
  return document.range[0];
}

function keyOffset(node: unknown, key: string | undefined): number | null {
  if (!isMap(node) || key === undefined) return null;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
  return isScalar(pair?.key) ? (pair.key.range?.[0] ?? null) : null;
}

function invalid(path: string, mistakes: readonly string[]): LastgoodError {
  const more = mistakes.length > 1 ? ` (and ${mistakes.length - 1} more)` : "";
  return new LastgoodError("config.invalid", `${mistakes[0] ?? path}${more}`, {
    hint: `correct ${path} and try again`,
    details: { file: path, mistakes },
  });
}

function firstLine(text: string): string {
  if (text.startsWith("With stringKeys")) return "a key is a text";
  return text.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? text;
}
