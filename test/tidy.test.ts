/**
 * The house rules that no linter knows. Each failure says where and why.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const notOurs = new Set(["node_modules", "dist", ".git", ".tmp", "coverage"]);

/** Every file of the project, relative to its root, with forward slashes. */
function listFiles(folder = root): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return notOurs.has(entry.name) ? [] : listFiles(path);
    return entry.isFile() ? [relative(root, path)] : [];
  });
}

const files = listFiles();
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const isCode = (file: string): boolean => /\.(ts|mts|cts|mjs|js|tsx)$/.test(file);
const isMarkdown = (file: string): boolean => file.endsWith(".md");
const code = files.filter(isCode);
const markdown = files.filter(isMarkdown);

/** `file:line: text` for every line that matches; the patterns below avoid matching themselves. */
function findLines(among: readonly string[], pattern: RegExp): string[] {
  return among.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [],
      ),
  );
}

test("a name says what a thing is, not that it is something", () => {
  const banned = /^(utils?|helpers?|managers?|common|misc)$/i;
  const named = files.filter((file) => file.split(/[/.]|-/).some((word) => banned.test(word)));
  expect(named, "name it after the thing it is about").toEqual([]);
});

test("nothing is left for later in the code", () => {
  const later = /\b(TO[D]O|FIX[M]E|X[X]X)\b/;
  const written = files.filter(
    (file) => isCode(file) || isMarkdown(file) || /^(bin|\.ci)\//.test(file),
  );
  expect(findLines(written, later), "do it now or write it down in an issue").toEqual([]);
});

test("every test runs, always", () => {
  const left = /\b(test|it|describe|suite|bench)(\.\w+)*\.(on[l]y|sk[i]p|to[d]o)\b/;
  expect(findLines(code, left), "a test that does not run proves nothing").toEqual([]);
});

test("no module is mocked", () => {
  const mock = /\b(vi|vitest)\.(mo[c]k|doMo[c]k|hois[t]ed)\b/;
  expect(findLines(code, mock), "pass a fake of the interface instead").toEqual([]);
});

test("SQL names its columns", () => {
  const star = /\bselect\s+(distinct\s+)?\*/i;
  const queries = code.filter((file) => file.startsWith("src/"));
  expect(findLines(queries, star), "a new column must not change what old code reads").toEqual([]);
});

test("no value is cast to any", () => {
  const cast = /^(?!\s*(\*|\/\/)).*\bas an[y](\s*[;,)\]}>.[]|\s*$)/;
  expect(findLines(code, cast), "parse it, or narrow unknown").toEqual([]);
});

test("every name behind a front door has a doc comment", () => {
  const doors = code.filter((file) => /^src\/.*\/index\.tsx?$/.test(file));
  const undocumented = doors.flatMap((door) =>
    exportsOf(door).flatMap(({ name, from }) => {
      const found = findDeclaration(from, name);
      if (found === undefined) return [`${door}: ${name}: declaration not found in ${from}`];
      return found.documented
        ? []
        : [`${door}: ${name}: no doc comment in ${found.file}:${found.line}`];
    }),
  );
  expect(undocumented, "say what it gives, then what its type cannot say").toEqual([]);
});

test("a front door lists what it lets out", () => {
  const doors = code.filter((file) => /^src\/.*\/index\.tsx?$/.test(file));
  expect(findLines(doors, /^\s*export\s+(type\s+)?\*/), "name each export").toEqual([]);
});

test("each Markdown file has one title", () => {
  const wrong = markdown.flatMap((file) => {
    const titles = prose(read(file)).filter((line) => /^# \S/.test(line));
    return titles.length === 1 ? [] : [`${file}: ${titles.length} titles`];
  });
  expect(wrong).toEqual([]);
});

test("no relative link in Markdown is dead", () => {
  const dead = markdown.flatMap((file) =>
    linksOf(read(file))
      .filter((link) => !/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(link))
      .flatMap((link) => {
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? file : join(dirname(file), decodeURI(path));
        if (!existsSync(join(root, target))) return [`${file}: ${link}: no such file`];
        const checked = anchor !== undefined && isMarkdown(target);
        return checked && !anchorsOf(read(target)).has(anchor)
          ? [`${file}: ${link}: no such heading`]
          : [];
      }),
  );
  expect(dead).toEqual([]);
});

/** A name that a module exports and the file that declares it, or passes it on. */
interface ExportedName {
  readonly name: string;
  readonly from: string;
}

const declaring =
  "(?:declare\\s+)?(?:abstract\\s+)?(?:async\\s+)?(?:function\\s*\\*?|class|interface|type|const|let)";

/** What a front door exports; `export *` is refused by a test of its own. */
function exportsOf(file: string): ExportedName[] {
  const text = withoutComments(read(file));
  const listed = [...text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}(?:\s*from\s*"([^"]+)")?/gm)];
  const direct = [...text.matchAll(new RegExp(`^export\\s+${declaring}\\s+([\\w$]+)`, "gm"))];
  return [
    ...listed.flatMap(([, names = "", source]) =>
      splitNames(names).map(({ local }) => ({ name: local, from: resolveModule(file, source) })),
    ),
    ...direct.map(([, name = ""]) => ({ name, from: file })),
  ];
}

/** `a, type B, c as d` → the name inside the module and the name outside. */
function splitNames(names: string): { local: string; exported: string }[] {
  return names
    .split(",")
    .map((part) => part.trim().replace(/^type\s+/, ""))
    .filter((part) => part !== "")
    .map((part) => {
      const [local = "", exported = local] = part.split(/\s+as\s+/);
      return { local, exported };
    });
}

const resolveModule = (file: string, source: string | undefined): string =>
  source === undefined ? file : join(dirname(file), source);

interface Declaration {
  readonly file: string;
  readonly line: number;
  readonly documented: boolean;
}

/** Follows re-exports down to the declaration; a type and a value of one name share a comment. */
function findDeclaration(file: string, name: string, depth = 0): Declaration | undefined {
  if (depth > 10 || !existsSync(join(root, file))) return undefined;
  const text = read(file);
  const escaped = name.replaceAll("$", "\\$");
  const pattern = new RegExp(`^(?:export\\s+)?${declaring}\\s+${escaped}(?![\\w$])`, "gm");
  const found = [...text.matchAll(pattern)].map((match) => ({
    file,
    line: text.slice(0, match.index).split("\n").length,
    documented: endsWithDocComment(text.slice(0, match.index)),
  }));
  if (found.length > 0) return found.find((each) => each.documented) ?? found[0];
  return followReexport(file, name, depth);
}

function followReexport(file: string, name: string, depth: number): Declaration | undefined {
  const text = withoutComments(read(file));
  const lists = text.matchAll(
    /\b(?:export|import)\s+(?:type\s+)?\{([^}]*)\}(?:\s*from\s*"(\.[^"]+)")?/g,
  );
  for (const [, names = "", source] of lists) {
    const match = splitNames(names).find(({ exported }) => exported === name);
    if (match === undefined) continue;
    if (source === undefined && match.local === name) continue;
    return findDeclaration(resolveModule(file, source), match.local, depth + 1);
  }
  return undefined;
}

/** Does the text end with a doc comment that says something? Lint directives may come between. */
function endsWithDocComment(before: string): boolean {
  const text = before.replace(/(\s*\/\/[^\n]*)+\s*$/, "").trimEnd();
  if (!text.endsWith("*/")) return false;
  const comment = text.slice(text.lastIndexOf("/*"));
  return comment.startsWith("/**") && /[A-Za-z]{2}/.test(comment);
}

const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/[^\n]*/g, "$1");

/** The lines of a Markdown text outside fenced code. */
function prose(text: string): string[] {
  let fence: string | undefined;
  return text.split("\n").filter((line) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark === undefined) return fence === undefined;
    if (fence === undefined) fence = mark;
    else if (mark.startsWith(fence)) fence = undefined;
    return false;
  });
}

function linksOf(text: string): string[] {
  const plain = prose(text)
    .join("\n")
    .replaceAll(/`[^`\n]*`/g, "");
  const inline = [...plain.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)];
  const defined = [...plain.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/gm)];
  const html = [...plain.matchAll(/\b(?:src|href|srcset)="([^"]+)"/g)];
  return [...inline, ...defined, ...html].map(([, link = ""]) => link);
}

/** The anchors of a Markdown text as code forges make them from its headings. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = prose(text).flatMap((line) => {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) return [];
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, "")
      .replaceAll(" ", "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return [times === 0 ? slug : `${slug}-${times}`];
  });
  const explicit = [...text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)].map(([, id = ""]) => id);
  return new Set([...anchors, ...explicit]);
}
