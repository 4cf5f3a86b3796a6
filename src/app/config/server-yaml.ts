import { dirname, isAbsolute, resolve } from "node:path";

import type * as z from "zod";

import { DEFAULT_MAX_FILE_BYTES } from "../../core/api/index.ts";
import { BUILT_IN_LAUNCHERS, type Launcher } from "../../core/launcher/index.ts";
import type { SignalSources } from "../../core/policy/index.ts";
import type { ErrorInputs } from "../../core/redaction/index.ts";
import type { serverYamlSchema } from "./server-yaml-schema.ts";

/** Model servers elsewhere, by the name under which versions refer to them. */
export type Remotes = z.infer<typeof serverYamlSchema>["remotes"];

/** What starts a server on a version's folder, by the name under which versions refer to it. */
export type Launchers = Readonly<Record<string, Launcher>>;

/** The server's own configuration. Programs are named here alone, never through the API. */
export interface ServerConfig {
  readonly remotes: Remotes;
  readonly launchers: Launchers;
  /** Longest file that a version may have, bytes. */
  readonly maxFileBytes: number;
  /** What is kept of the inputs of requests that a candidate failed. */
  readonly errorInputs: ErrorInputs;
  /** Paths are absolute. */
  readonly signals: SignalSources;
}

/**
 * The server's own configuration (`--config server.yaml`); null means none. Relative paths in it
 * begin at the file's folder.
 * @throws `config.invalid` with line and column.
 */
export async function readServerYaml(path: string | null): Promise<ServerConfig> {
  if (path === null)
    return {
      remotes: {},
      launchers: BUILT_IN_LAUNCHERS,
      maxFileBytes: DEFAULT_MAX_FILE_BYTES,
      errorInputs: "none",
      signals: { prometheus: {}, logs: {}, health: {} },
    };
  // Few verbs need them, and every verb reads settings.
  const { readYaml } = await import("./yaml-file.ts");
  const { serverYamlSchema: schema } = await import("./server-yaml-schema.ts");
  const { remotes, launchers, uploads, incidents, ...signals } = readYaml(path, schema);
  const folder = dirname(resolve(path));
  return {
    remotes,
    launchers: Object.fromEntries(
      Object.entries(launchers).map(([name, each]) => [name, withAbsolutePrograms(each, folder)]),
    ),
    maxFileBytes: uploads.maxFile,
    errorInputs: incidents.inputs,
    signals: withAbsolutePaths(signals, folder),
  };
}

/** A server runs in its version's folder. Without a slash a program is looked up in PATH. */
function withAbsolutePrograms(launcher: Launcher, folder: string): Launcher {
  const found = (program: string): string =>
    /^[^{/][^{]*\//.test(program) ? resolve(folder, program) : program;
  const [program = "", ...args] = launcher.command;
  return { ...launcher, command: [found(program), ...args], python: found(launcher.python) };
}

/** The control plane runs in another folder than whoever wrote the file. */
function withAbsolutePaths(
  { logs, health, prometheus }: SignalSources,
  folder: string,
): SignalSources {
  const inFolder = (path: string): string => (isAbsolute(path) ? path : resolve(folder, path));
  return {
    prometheus,
    logs: Object.fromEntries(
      Object.entries(logs).map(([name, source]) => [
        name,
        { ...source, files: source.files?.map(inFolder) ?? null },
      ]),
    ),
    health: Object.fromEntries(
      Object.entries(health).map(([name, check]) => {
        const [program = "", ...args] = check.command ?? [];
        // Without a slash it is looked up in PATH.
        const found = program.includes("/") ? inFolder(program) : program;
        const ca = check.ca === null ? null : inFolder(check.ca);
        return [name, { ...check, ca, command: check.command === null ? null : [found, ...args] }];
      }),
    ),
  };
}
