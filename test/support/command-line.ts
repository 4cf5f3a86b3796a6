import { runCli } from "../../src/app/cli/run.ts";
import type { Environment } from "../../src/app/config/index.ts";

/** What a command line came to. */
export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, with nobody at a terminal. */
export async function runCommandLine(
  argv: readonly string[],
  {
    env,
    programFolder = "/nowhere",
    isTerminal = false,
  }: {
    readonly env: Environment;
    readonly programFolder?: string;
    readonly isTerminal?: boolean;
  },
): Promise<Ran> {
  let out = "";
  let err = "";
  const exit = await runCli({
    argv,
    env,
    programFolder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    isTerminal,
    colour: false,
  });
  return { exit, out, err };
}
