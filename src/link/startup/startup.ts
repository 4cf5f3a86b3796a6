import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";

import { LastgoodError } from "../../core/errors/index.ts";

const STANDARD_INPUT = 0;

/** One of our own programs, and what it is started with. */
export interface ProgramStart {
  readonly program: string;
  /** Of Node itself. */
  readonly flags?: readonly string[];
  /** What the list of processes may show, so that it is found there: names and folders. */
  readonly shown: readonly string[];
  /** Everything else: what variables and sources hold is nobody's business. */
  readonly config: unknown;
  /** Descriptor of the file that its output goes to. */
  readonly output: number;
  readonly folder?: string;
}

/**
 * Starts a program detached, so that Ctrl-C reaches the supervisor alone, with its output in a file: a
 * child whose output is its parent's pipe would die with the parent. Its configuration is written to its
 * standard input: everyone on the machine can read a command line, and its length has a limit.
 */
export function startProgram(start: ProgramStart): ChildProcess {
  const { program, flags = [], shown, config, output, folder } = start;
  const child = spawn(process.execPath, [...flags, program, ...shown], {
    detached: true,
    stdio: ["pipe", output, output],
    ...(folder === undefined ? {} : { cwd: folder }),
  });
  // One that ended before it read says so by its end.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(JSON.stringify(config));
  child.unref();
  return child;
}

/**
 * What this process was started with by `startProgram`.
 * @throws `link.invalid` when its standard input is no JSON: the starter died meanwhile, or it was none.
 */
export function readStartup(): unknown {
  try {
    return JSON.parse(readFileSync(STANDARD_INPUT, "utf8"));
  } catch (cause) {
    throw new LastgoodError(
      "link.invalid",
      "this program is started by lastgood serve, with JSON in its standard input",
      { cause, hint: "start it with: lastgood serve" },
    );
  }
}
