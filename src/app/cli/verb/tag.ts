import type { Command } from "@commander-js/extra-typings";

import { LastgoodError } from "../../../core/errors/index.ts";
import { examples } from "../help-text.ts";
import { listValue, pairValue } from "../option-value.ts";
import type { Session } from "../session.ts";
import { fullName, readVersionWords } from "../version-words.ts";

/** `tag`: sets and removes tags of a version. */
export function define(command: Command, session: Session): void {
  command
    .description("Set or remove tags of a version.")
    .usage("<version> [key=value...] [options]")
    .argument("<words...>", "fraud@v1.1 (or the model and the version), then key=value")
    .option("--unset <key>", "remove this tag, repeatable", listValue)
    .addHelpText(
      "after",
      examples([
        ["lastgood tag fraud@v1.1 team=risk ticket=4711", ""],
        ["lastgood tag fraud v1.1 --unset ticket", ""],
      ]),
    )
    .action(async (words, options) => {
      const unset = options.unset ?? [];
      const firstPair = words.findIndex((word) => word.includes("="));
      const pairs = firstPair < 0 ? [] : words.slice(firstPair);
      const named = firstPair < 0 ? words : words.slice(0, firstPair);
      let set: Record<string, string> = {};
      for (const pair of pairs) set = pairValue(pair, set);
      if (named.length === 0 || (pairs.length === 0 && unset.length === 0)) {
        throw new LastgoodError("usage.invalid", "which version, and which tag?", {
          hint: "for example: lastgood tag fraud@v1.1 team=risk",
        });
      }
      const client = await session.client();
      const { model, selector } = await readVersionWords(client, named);
      const actor = await session.actor();
      const version = await client.tag(model, selector, { set, unset, actor });
      session.terminal.answer(version, () => [
        `${fullName(version)}: ${
          Object.entries(version.tags)
            .map(([key, value]) => `${key}=${value}`)
            .join(" ") || "no tags"
        }`,
      ]);
    });
}
