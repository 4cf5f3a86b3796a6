import { CommanderError } from "commander";

import type { Environment } from "../config/index.ts";
import { failureOf, printFailure } from "./failure.ts";
import { buildProgram } from "./program.ts";
import { Session } from "./session.ts";
import { Terminal, type TerminalOptions } from "./terminal.ts";

/** What the command line is run with. */
export interface CliOptions extends TerminalOptions {
  /** Without the program's own name. */
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Folder of the bundles. */
  readonly programFolder: string;
}

/** Runs a command line and gives its exit code (DESIGN.md section 10); it never throws. */
export async function runCli(options: CliOptions): Promise<number> {
  const { argv, env } = options;
  const terminal = new Terminal(options);
  // Also for what goes wrong before the flags are read.
  terminal.json = argv.includes("--json");
  const programName = env["LASTGOOD_INVOKED_AS"] === "mlops" ? "mlops" : "lastgood";
  const session = new Session({
    terminal,
    env,
    programName,
    programFolder: options.programFolder,
  });
  try {
    const program = await buildProgram(argv, session);
    if (argv.length === 0) {
      terminal.raw(program.helpInformation());
      return 0;
    }
    await program.parseAsync([...argv], { from: "user" });
    return session.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = failureOf(thrown, [programName, argv[0]].filter(isVerbLike).join(" "));
    printFailure(terminal, error);
    return error.traits.exit;
  }
}

function isVerbLike(word: string | undefined): boolean {
  return word !== undefined && /^[a-z]/.test(word);
}
