/** What one line of a requirements file asks for. */
export type RequirementLine = { readonly text: string } & (
  | {
      /** Another file of requirements, or of constraints, named from the file it is named in. */
      readonly kind: "file";
      readonly path: string;
      readonly isConstraints: boolean;
    }
  /** A wheel or source archive, named from where the installer runs. */
  | { readonly kind: "archive"; readonly path: string }
  /** Where packages come from, and in which form; the paths are folders or pages of the version. */
  | { readonly kind: "source"; readonly paths: readonly string[] }
  /** A package by its name or URL; `isExact`: it is the same one tomorrow. */
  | { readonly kind: "package"; readonly isExact: boolean }
  /** What no environment can be made of that other versions share and that outlives this one's folder. */
  | { readonly kind: "refused"; readonly why: string }
);

/** Lines that say where from, and in which form, not what: an exact version stays one. */
const WHERE_FROM =
  /^(?:-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host|--no-index|--prefer-binary|--(?:only|no)-binary|--require-hashes)(?:[\s=]|$)/;
const EXACT = /^[A-Za-z0-9][\w.-]*(\[[^\]]*\])?\s*={2,3}\s*[^\s*;,]+(\s*;.*|\s+--hash.*)?$/;
const NAMED_URL = /^[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@\s*(.+)$/;
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;
const ARCHIVE = /\.(?:whl|zip|tgz|tbz|txz|tlz|tar|tar\.(?:gz|bz2|xz|lz|lzma))$/i;
/** An argument as a shell would take it. */
const WORD = /(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g;

/** Options whose value may lie in the version's folder, by their short names. */
const SHORT: Readonly<Record<string, string>> = {
  "-r": "--requirement",
  "-c": "--constraint",
  "-e": "--editable",
  "-f": "--find-links",
  "-i": "--index-url",
};
const LONG = [...Object.values(SHORT), "--extra-index-url", "--pypi-url"];
const SOURCES = new Set(["--find-links", "--index-url", "--extra-index-url", "--pypi-url"]);

const NO_URL = "is a file: URL: name the file by its path inside the version's folder";
const NO_FOLDER =
  "is a folder to build from: build a wheel of it, put that into the version's folder and name it";

/** What each line of a requirements or constraints file asks for, comments and empty lines left out. */
export function requirementLines(text: string): readonly RequirementLine[] {
  return text
    .replaceAll(/\\\r?\n/g, " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("--hash"))
    .map((line) => (line.startsWith("-") ? optionLine(line) : packageLine(line)));
}

function packageLine(text: string): RequirementLine {
  if (EXACT.test(text)) return { text, kind: "package", isExact: true };
  const named = text.replace(/\s+-.*$/, "").replace(/\s*;.*$/, "");
  const url = NAMED_URL.exec(named)?.[1] ?? named;
  if (SCHEME.test(url)) return ofUrl(text, url);
  const path = url.replace(/\s*\[[^\]]*\]$/, "");
  if (ARCHIVE.test(path)) return { text, kind: "archive", path };
  if (path.includes("/") || path.startsWith(".")) return { text, kind: "refused", why: NO_FOLDER };
  return { text, kind: "package", isExact: false };
}

function ofUrl(text: string, url: string): RequirementLine {
  return /^file:/i.test(url)
    ? { text, kind: "refused", why: NO_URL }
    : { text, kind: "package", isExact: false };
}

function optionLine(text: string): RequirementLine {
  const options = optionsOf(text);
  // Of several files on one line the installer reads one.
  for (const name of ["--requirement", "--constraint"]) {
    const value = options.find((option) => option.name === name)?.value;
    if (value === undefined) continue;
    return SCHEME.test(value)
      ? ofUrl(text, value)
      : { text, kind: "file", path: value, isConstraints: name === "--constraint" };
  }
  const editable = options.find(({ name }) => name === "--editable");
  if (editable !== undefined)
    return SCHEME.test(editable.value)
      ? ofUrl(text, editable.value)
      : { text, kind: "refused", why: NO_FOLDER };
  const paths = options
    .filter(({ name, value }) => SOURCES.has(name) && value !== "" && !SCHEME.test(value))
    .map(({ value }) => value)
    // A folder of packages that the machine has, or a variable names, is a source like an index.
    .filter((path) => !/^[/~]|\$\{/.test(path));
  return paths.length > 0 || WHERE_FROM.test(text)
    ? { text, kind: "source", paths }
    : { text, kind: "package", isExact: false };
}

interface Option {
  readonly name: string;
  readonly value: string;
}

/** The options of a line that can name files, by their long names. */
function optionsOf(line: string): readonly Option[] {
  const words = (line.match(WORD) ?? []).map((word) =>
    word.replaceAll(/\\(.)|["']/g, (_, escaped?: string) => escaped ?? ""),
  );
  return words.flatMap((word, index) => {
    const [, long, after] = /^(--[\w-]+)(?:=(.*))?$/.exec(word) ?? [];
    const name = long === undefined ? SHORT[word.slice(0, 2)] : fullName(long);
    if (name === undefined) return [];
    const attached = long === undefined ? word.slice(2) || undefined : after;
    return [{ name, value: attached ?? words[index + 1] ?? "" }];
  });
}

/** The installer takes the beginning of a long name for the whole of it. */
function fullName(beginning: string): string | undefined {
  return beginning.length > 2 ? LONG.find((name) => name.startsWith(beginning)) : undefined;
}
