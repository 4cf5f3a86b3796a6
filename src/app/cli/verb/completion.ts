import { Argument, type Command } from "@commander-js/extra-typings";

import { completionAnswer, type CompletionAnswer } from "../completion-answer.ts";
import { completionScript, SHELLS } from "../completion-script.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";
import type { BuildProgram } from "../verb.ts";

/** `completion`: a script that completes what is typed; it asks this verb what could come next. */
export function define(command: Command, session: Session, build: BuildProgram): void {
  command
    .description(
      "Print a script that completes verbs, flags, and the models, versions, endpoints and aliases of the server in your shell. With words of a command line: print what could come next.",
    )
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .argument("[words...]", "after --: a command line, the last word being typed")
    .addHelpText(
      "after",
      examples([
        ["source <(lastgood completion bash)", "in ~/.bashrc"],
        ["lastgood completion zsh > ~/.zfunc/_lastgood", ""],
        ["lastgood completion fish > ~/.config/fish/completions/lastgood.fish", ""],
        ["lastgood completion bash -- deploy fraud@", "what the script asks"],
      ]),
    )
    .action(async (shell, words) => {
      if (words.length === 0) {
        const script = completionScript(shell);
        session.terminal.answer({ shell, script }, () => [script]);
        return;
      }
      const isJson = session.terminal.json;
      const answer = await completionAnswer(session, build, words);
      session.terminal.json = isJson;
      session.terminal.answer(answer, () => lines(answer));
    });
}

function lines({ candidates, files }: CompletionAnswer): string[] {
  return [
    ...candidates.map(({ value, about }) => (about === "" ? value : `${value}\t${about}`)),
    ...(files ? [":files"] : []),
  ];
}
