import type { Command } from "@commander-js/extra-typings";

import type { Session } from "./session.ts";

/** Gives a verb's command its arguments, options, help and action; `verbs` are all there are. */
export type DefineVerb = (command: Command, session: Session, verbs: readonly Verb[]) => void;

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
