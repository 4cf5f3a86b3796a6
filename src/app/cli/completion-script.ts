import { Command } from "@commander-js/extra-typings";

import type { Session } from "./session.ts";
import type { Verb } from "./verb.ts";

/** Shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

interface Words {
  readonly verb: string;
  readonly summary: string;
  /** Sub-verbs and flags. */
  readonly words: readonly string[];
}

/** A script for the shell that completes every verb and its flags; it asks no server. */
export async function completionScript(
  shell: (typeof SHELLS)[number],
  session: Session,
  all: readonly Verb[],
): Promise<string> {
  const verbs: Words[] = [];
  for (const verb of all) {
    const command = new Command(verb.name);
    (await verb.load()).define(command, session, all);
    const words = [...command.commands.map((child) => child.name()), ...flagsOf(command)];
    for (const name of [verb.name, ...verb.aliases])
      verbs.push({ verb: name, summary: verb.summary, words });
  }
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](verbs);
}

function flagsOf(command: Command): string[] {
  const all = [command, ...command.commands].flatMap((each) => each.options);
  const own = all.filter((option) => !option.hidden).map((option) => option.long);
  const flags = [...own, "--json", "--data-dir", "--url", "--help"];
  return [...new Set(flags.filter((flag) => typeof flag === "string"))];
}

function cases(verbs: readonly Words[]): string {
  return verbs.map(({ verb, words }) => `    ${verb}) words="${words.join(" ")}" ;;`).join("\n");
}

function bashScript(verbs: readonly Words[]): string {
  return `# completion of lastgood and mlops for bash
_lastgood() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases(verbs)}
    *) words="" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${verbs.map(({ verb }) => verb).join(" ")} --help --version"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _lastgood lastgood mlops`;
}

function zshScript(verbs: readonly Words[]): string {
  return `#compdef lastgood mlops
# completion of lastgood and mlops for zsh
_lastgood() {
  if (( CURRENT == 2 )); then
    compadd -- ${verbs.map(({ verb }) => verb).join(" ")} --help --version
    return
  fi
  case "\${words[2]}" in
${verbs.map(({ verb, words }) => `    ${verb}) compadd -- ${words.join(" ")} ;;`).join("\n")}
  esac
  _files
}
compdef _lastgood lastgood mlops`;
}

function fishScript(verbs: readonly Words[]): string {
  const lines = verbs.flatMap(({ verb, summary, words }) => [
    `complete -c lastgood -f -n __fish_use_subcommand -a ${verb} -d '${summary.replaceAll("'", "\\'")}'`,
    ...words.map((word) =>
      word.startsWith("--")
        ? `complete -c lastgood -n '__fish_seen_subcommand_from ${verb}' -l ${word.slice(2)}`
        : `complete -c lastgood -n '__fish_seen_subcommand_from ${verb}' -a ${word}`,
    ),
  ]);
  return [
    "# completion of lastgood and mlops for fish",
    ...lines,
    "complete -c mlops -w lastgood",
  ].join("\n");
}
