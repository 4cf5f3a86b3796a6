import { Argument, type Command } from "@commander-js/extra-typings";

import { completionScript, SHELLS } from "../completion-script.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";

/** `completion`: a script that completes verbs and flags. */
export function define(command: Command, session: Session, verbs: readonly Verb[]): void {
  command
    .description("Print a script that completes verbs and flags in your shell.")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .addHelpText(
      "after",
      examples([
        ["source <(lastgood completion bash)", "in ~/.bashrc"],
        ["lastgood completion zsh > ~/.zfunc/_lastgood", ""],
        ["lastgood completion fish > ~/.config/fish/completions/lastgood.fish", ""],
      ]),
    )
    .action(async (shell) => {
      const script = await completionScript(shell, session, verbs);
      session.terminal.answer({ shell, script }, () => [script]);
    });
}
