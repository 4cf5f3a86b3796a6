import type { Command } from "@commander-js/extra-typings";

import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";
import { fullName, readVersionWords } from "../version-words.ts";

/** `archive`: puts a version away. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Put a version away: it is kept, but no longer deployed or rolled back to. Refused while an endpoint needs it.",
    )
    .usage("<version> [options]")
    .argument("<words...>", "fraud@v0.9, or the model and the version")
    .option("--reason <text>", "why, for the record")
    .option("--dry-run", "say whether it could be, change nothing")
    .option("-y, --yes", "accepted for scripts: archive never asks")
    .addHelpText("after", examples([["lastgood archive fraud@v0.9", ""]]))
    .action(async (words, options) => {
      const client = await session.client();
      const { model, selector } = await readVersionWords(client, words);
      const version = await client.archive(model, selector, {
        reason: options.reason ?? null,
        dryRun: options.dryRun ?? false,
        actor: await session.actor(),
      });
      session.terminal.answer(version, () => [
        options.dryRun === true
          ? `${session.terminal.style("yellow", "dry run:")} ${fullName(version)} can be archived`
          : session.terminal.style("green", `${fullName(version)} is archived; its files are kept`),
      ]);
    });
}
