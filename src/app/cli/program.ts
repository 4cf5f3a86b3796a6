import { Command, Option } from "@commander-js/extra-typings";

import { LastgoodError } from "../../core/errors/index.ts";
import { PROGRAM_VERSION } from "../build/index.ts";
import type { Session } from "./session.ts";
import { findVerb, VERBS } from "./verb-table.ts";
import type { Verb } from "./verb.ts";

/** Heading of what every verb understands. */
const SHARED = "Everywhere:";

const FIRST_LINE =
  "Production rollback for machine-learning models: when an update fails, the last good version is back before anyone notices.";

/**
 * The command line. All verbs are listed, only the one that is typed is loaded: printing the first
 * help screen costs no more than commander itself.
 */
export async function buildProgram(argv: readonly string[], session: Session): Promise<Command> {
  const program = new Command(session.programName)
    .description(FIRST_LINE)
    .usage("<verb> [options]")
    .version(PROGRAM_VERSION, "--version", "print the program's version")
    // Without it `rollback --version v1.1` would print the program's version.
    .enablePositionalOptions()
    .helpOption("-h, --help", "show help; <verb> --help shows examples")
    .helpCommand("help [verb]", "show the help of a verb")
    .showSuggestionAfterError(true);
  quiet(program, session);
  const typed = findVerb((argv[0] === "help" ? argv[1] : argv[0]) ?? "");
  for (const verb of VERBS) await addVerb(program, verb, { session, isTyped: verb === typed });
  return program;
}

async function addVerb(
  program: Command,
  verb: Verb,
  how: { readonly session: Session; readonly isTyped: boolean },
): Promise<void> {
  const command = program
    .command(verb.name)
    .summary(verb.summary)
    .description(verb.summary)
    .helpGroup(verb.group)
    .aliases([...verb.aliases])
    .addHelpOption(new Option("-h, --help", "show this help").helpGroup(SHARED));
  if (!how.isTyped) return;
  // Before the first schema is made.
  await import("./plain-zod.ts");
  const { define } = await verb.load();
  define(command, how.session, buildProgram);
  command.hook("preAction", (_, acting) => {
    how.session.use(acting.opts());
    // What is being typed may be empty; anywhere else it is a variable without a value.
    if (verb.name !== "completion" && acting.args.includes("")) throw emptyArgument();
  });
  for (const leaf of leaves(command)) await addSharedOptions(leaf, verb);
}

function emptyArgument(): LastgoodError {
  return new LastgoodError("usage.invalid", "an argument is empty", {
    hint: "leave it out, or give it a value: is a variable of the script not set?",
  });
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0
    ? [command]
    : // The child's own types are not known to its parent.
      command.commands.flatMap((child) => leaves(child as unknown as Command));
}

async function addSharedOptions(command: Command, verb: Verb): Promise<void> {
  command.addOption(new Option("--json", "print one JSON value").helpGroup(SHARED));
  const names = [
    ...(verb.changes ? (["actor"] as const) : []),
    ...(verb.asksServer ? (["url", "dataDir"] as const) : []),
  ];
  if (names.length === 0) return;
  const { settingOption } = await import("./setting-option.ts");
  for (const name of names) command.addOption(settingOption(name).helpGroup(SHARED));
}

/** Errors are printed in one place, and nothing but that place ends the process. Verbs inherit it. */
function quiet(command: Command, session: Session): void {
  command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => session.terminal.raw(text),
      writeErr: () => undefined,
      getOutHelpWidth: () => Math.min(session.terminal.columns, 100),
    })
    .configureHelp({ showGlobalOptions: false });
}
