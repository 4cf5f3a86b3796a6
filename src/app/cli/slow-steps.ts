import type { SlowSteps } from "../model-folder/index.ts";
import { bytes } from "./phrase.ts";
import type { Terminal } from "./terminal.ts";

/** What is said before a version's own server is started to be looked into. */
export const STARTING =
  "where it is new here, its server is started once to look into it, and what that requires is installed before: this may take minutes …";

/** Says what takes a while before it begins. */
export function slowSteps(terminal: Terminal): SlowSteps {
  return {
    onLarge: ({ name, size }) => terminal.note(`uploading ${name} (${bytes(size)}) …`),
    onStart: () => terminal.note(STARTING),
  };
}
