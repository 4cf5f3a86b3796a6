import type { Command } from "@commander-js/extra-typings";

import { LastgoodError } from "../../../core/errors/index.ts";
import { parseAlias } from "../../../core/version/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";
import { fullName, readVersionWords } from "../version-words.ts";

/** `alias`: points a movable name at a version. */
export function define(command: Command, session: Session): void {
  command
    .description("Point a movable name at a version; moving it moves no traffic.")
    .usage("<version> <alias> [options]")
    .argument("<words...>", "fraud@v1.1 (or the model and the version), then the alias")
    .option("--delete", "remove the alias: alias fraud champion --delete")
    .addHelpText(
      "after",
      examples([
        ["lastgood alias fraud@v1.1 champion", "fraud@champion is v1.1 from now on"],
        ["lastgood alias fraud champion --delete", ""],
      ]),
    )
    .action(async (words, options) => {
      const client = await session.client();
      const actor = await session.actor();
      const [model, alias] = words;
      if (options.delete === true) {
        if (model === undefined || alias === undefined || words.length !== 2) throw unclear();
        const name = parseAlias(alias.replace(/^@/, ""));
        await client.deleteAlias(model, name, actor);
        session.terminal.answer({ model, alias: name }, () => [`@${name} of ${model} is removed`]);
        return;
      }
      const given = words.at(-1);
      if (given === undefined || words.length < 2 || words.length > 3) throw unclear();
      const name = parseAlias(given.replace(/^@/, ""));
      const named = await readVersionWords(client, words.slice(0, -1));
      const body = { version: named.selector, actor };
      const version = await client.setAlias(named.model, name, body);
      session.terminal.answer(version, () => [`@${name} is ${fullName(version)}`]);
    });
}

function unclear(): LastgoodError {
  return new LastgoodError("usage.invalid", "which version, and which alias?", {
    hint: "for example: lastgood alias fraud@v1.1 champion",
  });
}
