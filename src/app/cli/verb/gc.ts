import type { Command } from "@commander-js/extra-typings";

import type { Collected, CollectedItem } from "../../../core/api/index.ts";
import { examples } from "../help-text.ts";
import { bytes, counted } from "../phrase.ts";
import type { Session } from "../session.ts";

/** `gc`: removes what nothing needs any more. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Remove environments of managed servers that only failed and archived versions used. What an endpoint serves, rolls out or could return to is kept, and so is what is in use. It says what it would remove, and removes it with --yes.",
    )
    .option("--dry-run", "say what would be removed, remove nothing (as without --yes)")
    .option("-y, --yes", "remove it")
    .addHelpText(
      "after",
      examples([
        ["lastgood gc", "what would be removed, and what is kept and why"],
        ["lastgood gc --yes", "remove it"],
      ]),
    )
    .action(async (options) => {
      const client = await session.client();
      const dryRun = options.dryRun === true || options.yes !== true;
      const collected = await client.gc({ dryRun, actor: await session.actor() });
      session.terminal.answer(collected, () => describe(collected, session));
    });
}

function line({ kind, name, bytes: size, why }: CollectedItem): string {
  return `  ${kind} ${name}   ${bytes(size)}   ${why}`;
}

function describe(collected: Collected, { terminal, programName }: Session): string[] {
  const { dryRun, removed, kept } = collected;
  const what = `${counted(removed.length, "environment")}, ${bytes(collected.bytes)}`;
  const head = dryRun ? `would be removed: ${what}` : `removed: ${what}`;
  const isNext = dryRun && removed.length > 0;
  return [
    terminal.style(dryRun ? "yellow" : "green", head),
    ...removed.map(line),
    ...(kept.length === 0 ? [] : ["kept:", ...kept.map(line)]),
    ...(isNext ? [`${terminal.style("cyan", "next:")} ${programName} gc --yes`] : []),
  ];
}
