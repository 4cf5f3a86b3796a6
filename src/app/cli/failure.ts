import { CommanderError } from "commander";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Terminal } from "./terminal.ts";

/** The command that was typed, as far as it was understood. */
export interface TypedCommand {
  /** With the program's name before it. */
  readonly name: string;
  /** What comes after the name, such as `<version> [options]`. */
  readonly usage: string;
}

/** What was thrown as a LastgoodError; a command line that was not understood is `usage.invalid`. */
export function failureOf(thrown: unknown, { name, usage }: TypedCommand): LastgoodError {
  if (!(thrown instanceof CommanderError)) return LastgoodError.from(thrown);
  if (thrown.code === "commander.help") {
    return new LastgoodError("usage.invalid", `what should ${name} do?`, {
      hint: `${name} --help lists what it can`,
    });
  }
  // What is called `words` is read by the verb itself; its usage says what they are.
  if (thrown.code === "commander.missingArgument" && thrown.message.includes("'words'")) {
    return new LastgoodError("usage.invalid", `something is missing: ${name} ${usage}`, {
      hint: `${name} --help shows what is understood`,
      cause: thrown,
    });
  }
  const [first = "", ...rest] = thrown.message.replace(/^error: /, "").split("\n");
  const suggestion = /\(Did you mean (.+)\?\)/.exec(rest.join(" "))?.[1];
  return new LastgoodError("usage.invalid", first, {
    hint:
      suggestion === undefined
        ? `${name} --help shows what is understood`
        : `did you mean ${suggestion}?`,
    details: suggestion === undefined ? {} : { suggestion },
    cause: thrown,
  });
}

/** Says what went wrong, what was looked at, and what to type next. */
export function printFailure(terminal: Terminal, error: LastgoodError): void {
  if (terminal.json) {
    terminal.answer({ error: error.toBody() }, () => []);
    return;
  }
  terminal.note(`${terminal.style(["bold", "red"], "error:")} ${error.message}`);
  for (const { version, why } of error.passedOver) terminal.note(`  ${version}: ${why}`);
  terminal.note(...detailLines(error));
  if (error.hint !== undefined) terminal.note(`${terminal.style("cyan", "next:")} ${error.hint}`);
}

/** Lists among the details, such as every mistake of a configuration file or what differs. */
function detailLines(error: LastgoodError): string[] {
  return Object.values(error.details).flatMap((detail) =>
    Array.isArray(detail)
      ? detail
          .filter(
            (item): item is string => typeof item === "string" && !error.message.includes(item),
          )
          .map((item) => `  ${item}`)
      : [],
  );
}
