import type { Argument, Command, Option } from "commander";

/** What could be typed at a place of a command line. */
export type Place =
  | { readonly kind: "words"; readonly words: readonly Candidate[] }
  | { readonly kind: "endpoint" }
  | { readonly kind: "model" }
  | { readonly kind: "files" }
  | { readonly kind: "nothing" }
  /** `fraud@v1.0`; where a path may stand too, also files. */
  | { readonly kind: "version"; readonly files: boolean }
  /** `v1.0` of a model that was named, or that the endpoint serves which was named. */
  | { readonly kind: "selector"; readonly of: string | null }
  | { readonly kind: "alias"; readonly of: string };

/** Something that could be typed, and what it is. */
export interface Candidate {
  readonly value: string;
  readonly about: string;
}

/** A command line up to where the cursor is. */
export interface TypedLine {
  readonly place: Place;
  /** What was typed of the word at the cursor, without an option's name in front of it. */
  readonly current: string;
  /** `--option=` where the value is typed with its option. */
  readonly prefix: string;
  /** Values of options that were typed before. */
  readonly options: ReadonlyMap<string, string>;
}

const NOTHING: Place = { kind: "nothing" };
const VERDICTS = ["stable", "failed", "pending"];

const plain = (words: readonly string[]): Place => ({
  kind: "words",
  words: words.map((value) => ({ value, about: "" })),
});

/**
 * Reads the words after the program's name, the last one being typed, by what the program's own
 * commands declare.
 */
export function readTyped(program: Command, words: readonly string[]): TypedLine {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? "";
  const line = walk(program, before);
  const at = typed.startsWith("--") ? typed.indexOf("=") : -1;
  const optionAt = at < 0 ? undefined : optionOf(line.command, typed.slice(0, at));
  if (optionAt !== undefined) {
    const [current, prefix] = [typed.slice(at + 1), typed.slice(0, at + 1)];
    return { place: placeOfOption(optionAt, line), current, prefix, options: line.options };
  }
  const place =
    line.pending !== null
      ? placeOfOption(line.pending, line)
      : typed.startsWith("-")
        ? flagsOf(line.command)
        : placeOfWord(line);
  return { place, current: typed, prefix: "", options: line.options };
}

interface Walked {
  readonly command: Command;
  /** Words that are no options, after the verbs. */
  readonly positionals: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  /** The option whose value comes next. */
  readonly pending: Option | null;
  readonly isTop: boolean;
}

function walk(program: Command, words: readonly string[]): Walked {
  let command = program;
  let pending: Option | null = null;
  const positionals: string[] = [];
  const options = new Map<string, string>();
  for (const word of words) {
    if (pending !== null) {
      options.set(pending.long ?? "", word);
      pending = null;
      continue;
    }
    if (word.startsWith("-")) {
      const option = optionOf(command, word);
      if (option !== undefined && (option.required || option.optional)) pending = option;
      continue;
    }
    const child = positionals.length > 0 ? undefined : childOf(command, word);
    if (child === undefined) positionals.push(word);
    else command = child;
  }
  return { command, positionals, options, pending, isTop: command === program };
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((child) => child.name() === word || child.aliases().includes(word));
}

function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find((option) => option.long === flag || option.short === flag);
}

function flagsOf(command: Command): Place {
  const help = command.createHelp();
  const words = help
    .visibleOptions(command)
    .flatMap(({ long, description }) =>
      typeof long === "string" ? [{ value: long, about: description }] : [],
    );
  return { kind: "words", words };
}

function placeOfWord({ command, positionals, isTop }: Walked): Place {
  if (command.commands.length > 0 && positionals.length === 0) {
    const children = command.createHelp().visibleCommands(command);
    const words = children.map((child) => ({ value: child.name(), about: child.summary() }));
    return { kind: "words", words };
  }
  if (isTop) return NOTHING;
  const declared = command.registeredArguments;
  const last = declared.at(-1);
  const argument = declared[positionals.length] ?? (last?.variadic === true ? last : undefined);
  return argument === undefined ? NOTHING : placeOfArgument(argument, command, positionals);
}

function placeOfArgument(
  argument: Argument,
  command: Command,
  positionals: readonly string[],
): Place {
  if (argument.argChoices !== undefined) return plain(argument.argChoices);
  const name = argument.name();
  if (name === "words") return placeOfWords(command.name(), positionals);
  return placeNamed(name);
}

function placeNamed(name: string): Place {
  switch (name) {
    case "endpoint":
      return { kind: "endpoint" };
    case "model":
      return { kind: "model" };
    case "version":
      return { kind: "version", files: false };
    case "path":
    case "file":
    case "folder":
    case "what":
      return { kind: "files" };
    default:
      return NOTHING;
  }
}

/** Verbs that take a version as `fraud@v1.0` or as `fraud v1.0`, and something after it. */
function placeOfWords(verb: string, positionals: readonly string[]): Place {
  if (verb === "set-weight") return { kind: "endpoint" };
  const [first, second] = positionals;
  if (first === undefined) return { kind: "version", files: false };
  const isWhole = first.includes("@");
  const model = first.split("@")[0] ?? first;
  if (verb === "diff") return { kind: "selector", of: model };
  if (!isWhole && second === undefined) return { kind: "selector", of: model };
  if (verb === "mark") return plain(VERDICTS);
  if (verb === "alias") return { kind: "alias", of: model };
  return NOTHING;
}

function placeOfOption(option: Option, { positionals, options }: Walked): Place {
  if (option.argChoices !== undefined) return plain(option.argChoices);
  if (option.long === "--endpoint") return { kind: "endpoint" };
  if (option.long === "--model-uri") return { kind: "version", files: true };
  const name = /[<[](\w+)/.exec(option.flags)?.[1] ?? "";
  if (name !== "version") return placeNamed(name);
  const of = options.get("--to") ?? positionals[0] ?? null;
  return { kind: "selector", of: of?.split("@")[0] ?? null };
}
