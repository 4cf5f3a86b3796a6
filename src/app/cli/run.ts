import type { Command } from "@commander-js/extra-typings";
import { CommanderError } from "commander";

import type { Environment } from "../config/index.ts";
import { failureOf, printFailure, type TypedCommand } from "./failure.ts";
import { buildProgram } from "./program.ts";
import { Session } from "./session.ts";
import { Terminal, type TerminalOptions } from "./terminal.ts";
import { findVerb } from "./verb-table.ts";

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
  const { env } = options;
  const argv = plainly(options.argv);
  const terminal = new Terminal(options);
  // Also for what goes wrong before the flags are read.
  terminal.json = options.argv.includes("--json");
  const programName = env["LASTGOOD_INVOKED_AS"] === "mlops" ? "mlops" : "lastgood";
  const session = new Session({
    terminal,
    env,
    programName,
    programFolder: options.programFolder,
  });
  let program: Command | null = null;
  try {
    program = await buildProgram(argv, session);
    if (argv.length === 0) {
      terminal.raw(program.helpInformation());
      return 0;
    }
    await program.parseAsync([...argv], { from: "user" });
    return session.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = failureOf(thrown, typedCommand(program, argv, programName));
    printFailure(terminal, error);
    return error.traits.exit;
  }
}

/**
 * `help rollout promote` as `rollout promote --help`, which knows commands within a verb too. Of what is
 * no verb nothing but the word is kept: with `--help` the first help screen would hide the mistake.
 */
function plainly(argv: readonly string[]): readonly string[] {
  const [first, second, ...rest] = argv;
  if (first === undefined || first.startsWith("-")) return argv;
  if (first !== "help") return findVerb(first) === null ? [first] : argv;
  if (second === undefined || second.startsWith("-")) return argv;
  return plainly([second, ...rest, "--help"]);
}

/** The innermost command that was typed, for the advice where to read on. */
function typedCommand(
  program: Command | null,
  argv: readonly string[],
  programName: string,
): TypedCommand {
  let command = program;
  let name = programName;
  for (const word of argv) {
    const child = command?.commands.find(
      (each) => each.name() === word || each.aliases().includes(word),
    );
    if (child === undefined) break;
    // The child's own types are not known to its parent.
    command = child as unknown as Command;
    name = `${name} ${word}`;
  }
  return { name, usage: command?.usage() ?? "" };
}
