import type { Command } from "@commander-js/extra-typings";

import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";

/** `unpin`: an endpoint may go back by itself again. */
export function define(command: Command, session: Session): void {
  command
    .description("End a pin: the endpoint may go back by itself again.")
    .argument("[endpoint]", "may be left out where there is only one")
    .option("--reason <text>", "why, for the history")
    .addHelpText("after", examples([["lastgood unpin fraud-prod", ""]]))
    .action(async (endpoint, options) => {
      const client = await session.client();
      const answer = await client.steer({
        command: "unpin",
        endpoint: endpoint ?? null,
        reason: options.reason ?? null,
        actor: await session.actor(),
      });
      session.terminal.answer(answer, () => [session.terminal.style("green", answer.done)]);
    });
}
