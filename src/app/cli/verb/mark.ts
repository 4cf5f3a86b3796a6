import type { Command } from "@commander-js/extra-typings";

import { markBodySchema } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";
import { fullName, readVersionWords } from "../version-words.ts";

/** `mark`: a person's verdict on a version. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Judge a version: stable, failed or pending. A candidate marked failed is rolled back; a failed version is refused at the next deploy without --force.",
    )
    .usage("<version> <stable|failed|pending> [options]")
    .argument("<words...>", "fraud@v1.1 (or the model and the version), then the verdict")
    .option("--reason <text>", "why, for the history")
    .addHelpText(
      "after",
      examples([
        ['lastgood mark fraud@v1.1 failed --reason "wrong scores for new customers"', ""],
        ["lastgood mark fraud v1.0 stable", ""],
      ]),
    )
    .action(async (words, options) => {
      const status = markBodySchema.shape.status.safeParse(words.at(-1));
      if (!status.success || words.length < 2 || words.length > 3) {
        throw new LastgoodError("usage.invalid", "which version, and what is the verdict?", {
          hint: 'accepted are stable, failed and pending: lastgood mark fraud@v1.1 failed --reason "…"',
        });
      }
      const client = await session.client();
      const { model, selector } = await readVersionWords(client, words.slice(0, -1));
      const marked = await client.mark(model, selector, {
        status: status.data,
        reason: options.reason ?? null,
        actor: await session.actor(),
      });
      session.terminal.answer(marked, () => [
        session.terminal.style("green", `${fullName(marked.version)} is ${marked.version.status}`),
        ...marked.consequences.map((consequence) => `  ${consequence}`),
      ]);
    });
}
