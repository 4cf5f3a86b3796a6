import { findVerb } from "./verb-table.ts";

/** What Ctrl-C on a verb means for what it was doing. */
export function whenInterrupted(verb: string): string {
  // An import is the command line's own work, and ends with it.
  if (verb === "import") return "stopped: what was imported stays; type the same again to go on";
  return findVerb(verb)?.changes === true
    ? "detached: what was asked for goes on at the server (status shows it)"
    : "stopped: it only looked, nothing was changed";
}
