import type { Command } from "@commander-js/extra-typings";

import { describeReinstatement } from "../describe-rollback.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";

/** `reinstate`: takes back a wrong rollback. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Take back the endpoint's last rollback: the version it left serves again and its status is what it was. Refused once something later changed the endpoint.",
    )
    .argument("[endpoint]", "may be left out where only one fits")
    .requiredOption("--reason <text>", "why the rollback was wrong, for the history")
    .option("--rollback <id>", "which rollback, where it is not the last one")
    .option("--dry-run", "say what would happen, change nothing")
    .addHelpText(
      "after",
      examples([['lastgood reinstate fraud-prod --reason "the alarm was a broken dashboard"', ""]]),
    )
    .action(async (endpoint, options) => {
      const client = await session.client();
      const result = await client.reinstate({
        endpoint: endpoint ?? null,
        rollback: options.rollback ?? null,
        dryRun: options.dryRun ?? false,
        reason: options.reason,
        actor: await session.actor(),
      });
      session.terminal.answer(result, () => describeReinstatement(result, session));
    });
}
