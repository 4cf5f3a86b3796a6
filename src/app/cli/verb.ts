import type { Command } from "@commander-js/extra-typings";

import type { Session } from "./session.ts";

/** The whole command line, with the verb that `argv` begins with loaded. */
export type BuildProgram = (argv: readonly string[], session: Session) => Promise<Command>;

/** Gives a verb's command its arguments, options, help and action. */
export type DefineVerb = (command: Command, session: Session, build: BuildProgram) => void;

/** One verb as the first help screen shows it; the rest is loaded when it is typed. */
export interface Verb {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly group: string;
  readonly summary: string;
  /** True where it asks a server: it takes `--url` and `--data-dir`. */
  readonly asksServer: boolean;
  /** True where history names who did it: it takes `--actor`. */
  readonly changes: boolean;
  readonly load: () => Promise<{ readonly define: DefineVerb }>;
}
