/**
 * Bundles every entry point `src/app/entry/<name>.ts` into `dist/<name>.cjs`.
 *
 *   node tools/build.ts [--outdir DIR] [--replace src/a/b.ts=test/laws/sabotage/c.ts]… [--if-stale]
 *
 * `--replace` builds with one module swapped for another (the sabotaged builds of the law tests).
 * The replacement may import the module it replaces. A module that no entry loads is an error, so
 * that a sabotage cannot silently do nothing.
 */
import {
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build as bundle, type BuildResult, type Plugin } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const stampName = ".built";

/** What has to be loaded from node_modules at run time: native code and WebAssembly. */
const external = ["onnxruntime-node", "onnxruntime-web"];

/** Large libraries that few runs need, and the bundles of their own that are loaded when first imported. */
const loadedOnDemand: ReadonlyMap<string, string> = new Map([["@grpc/grpc-js", "grpc"]]);

/** Messages of the validation library in one language: the others would double its size. */
const onlyEnglish: Plugin = {
  name: "only-english",
  setup: (esbuild) => {
    esbuild.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

const besideTheBundle: Plugin = {
  name: "beside-the-bundle",
  setup: (esbuild) => {
    esbuild.onResolve({ filter: /^[@\w]/ }, ({ path, kind }) => {
      const name = kind === "entry-point" ? undefined : loadedOnDemand.get(path);
      return name === undefined ? undefined : { path: `./${name}.cjs`, external: true };
    });
  },
};

function libraryEntries(): Record<string, string> {
  return Object.fromEntries([...loadedOnDemand].map(([library, name]) => [name, library]));
}

/** One module to build in place of another, both relative to the checkout or absolute. */
export interface Replacement {
  readonly module: string;
  readonly by: string;
}

export interface BuildOptions {
  /** Folder of the bundles, relative to the checkout or absolute. @default "dist" */
  readonly outdir?: string;
  readonly replace?: readonly Replacement[];
}

/** Builds all entries and returns the files written. On an error the old bundles stay. */
export async function build(options: BuildOptions = {}): Promise<string[]> {
  const outdir = resolve(root, options.outdir ?? "dist");
  const startedAt = new Date();
  const swaps = (options.replace ?? []).map((each) => new Swap(each));
  const entries = { ...entryPoints(), ...libraryEntries() };
  const result = await bundle({
    absWorkingDir: root,
    entryPoints: entries,
    outdir,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node24",
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    logLevel: "warning",
    external,
    plugins: [...swaps.map((swap) => swap.plugin()), onlyEnglish, besideTheBundle],
    write: false,
  });
  for (const swap of swaps) swap.assertUsed();
  return publish(result, outdir, startedAt);
}

/** Builds `dist` unless it is newer than everything it is made from. */
export async function buildIfStale(): Promise<void> {
  if (isStale()) await build();
}

function entryPoints(): Record<string, string> {
  const folder = join(root, "src/app/entry");
  const names = listFolder(folder).filter((name) => /^[^.]+\.ts$/.test(name));
  if (names.length === 0) throw new Error(`nothing to build: no entry point in ${folder}`);
  return Object.fromEntries(names.map((name) => [basename(name, ".ts"), join(folder, name)]));
}

/**
 * Replaces the bundles one by one through a rename: a process that starts meanwhile reads a whole
 * file. The stamp carries the time the build began, so that what changed during it counts as newer.
 */
function publish(result: BuildResult<{ write: false }>, outdir: string, startedAt: Date): string[] {
  mkdirSync(outdir, { recursive: true });
  for (const file of result.outputFiles) writeFileSync(temporary(file.path), file.contents);
  for (const file of result.outputFiles) renameSync(temporary(file.path), file.path);

  const written = new Set(result.outputFiles.map((file) => basename(file.path)));
  for (const name of listFolder(outdir)) {
    if (/\.cjs(\.map)?$/.test(name) && !written.has(name)) rmSync(join(outdir, name));
  }
  const stamp = join(outdir, stampName);
  writeFileSync(temporary(stamp), "");
  utimesSync(temporary(stamp), startedAt, startedAt);
  renameSync(temporary(stamp), stamp);
  return result.outputFiles.map((file) => file.path);
}

const temporary = (path: string): string => `${path}.${process.pid}.tmp`;

/** The same question as in bin/lastgood: is anything newer than the stamp? */
function isStale(): boolean {
  const stamp = statSync(join(root, "dist", stampName), { throwIfNoEntry: false });
  if (stamp === undefined) return true;
  const isNewer = (path: string): boolean =>
    (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > stamp.mtimeMs;
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const inputs = ["src", ...sources.map((name) => join("src", name)), ...otherInputs];
  return inputs.some((path) => isNewer(join(root, path)));
}

const otherInputs = ["tools/build.ts", "package.json", "package-lock.json"];

function listFolder(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(folder);
}

/** Marks the resolving that a swap asks for itself; the others must leave it alone too. */
const resolving = Symbol("already resolving");

class Swap {
  readonly #from: string;
  readonly #to: string;
  #used = false;

  constructor({ module, by }: Replacement) {
    this.#from = resolve(root, module);
    this.#to = resolve(root, by);
    for (const path of [this.#from, this.#to]) {
      if (!statSync(path, { throwIfNoEntry: false })?.isFile())
        throw new Error(`no such file: ${path}`);
    }
  }

  plugin(): Plugin {
    return {
      name: `replace ${relative(root, this.#from)}`,
      setup: (esbuild) => {
        esbuild.onResolve({ filter: /^[./]/ }, async (args) => {
          if (args.pluginData === resolving || args.importer === this.#to) return undefined;
          const found = await esbuild.resolve(args.path, {
            importer: args.importer,
            kind: args.kind,
            resolveDir: args.resolveDir,
            pluginData: resolving,
          });
          if (found.path !== this.#from) return undefined;
          this.#used = true;
          return { path: this.#to };
        });
      },
    };
  }

  assertUsed(): void {
    if (this.#used) return;
    throw new Error(
      `${relative(root, this.#from)} was to be replaced by ${relative(root, this.#to)}, ` +
        "but no entry point loads it: the sabotage would do nothing",
    );
  }
}

function parseReplacement(text: string): Replacement {
  const at = text.indexOf("=");
  if (at < 1) throw new Error(`--replace wants MODULE=REPLACEMENT, not "${text}"`);
  return { module: text.slice(0, at), by: text.slice(at + 1) };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      outdir: { type: "string", default: "dist" },
      replace: { type: "string", multiple: true, default: [] },
      "if-stale": { type: "boolean", default: false },
    },
  });
  if (values["if-stale"]) {
    await buildIfStale();
    return;
  }
  await build({ outdir: values.outdir, replace: values.replace.map(parseReplacement) });
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    process.stderr.write(
      `build failed: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    process.exitCode = 1;
  });
}
