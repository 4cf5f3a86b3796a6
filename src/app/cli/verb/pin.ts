import type { Command } from "@commander-js/extra-typings";

import { automaticLines } from "../describe-rollout.ts";
import { examples } from "../help-text.ts";
import { durationValue } from "../option-value.ts";
import type { Session } from "../session.ts";

/** `pin`: keeps an endpoint from going back by itself. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Keep an endpoint from going back by itself, for 4 h unless --for says otherwise. What the evidence says is told all the same, requests that the candidate fails are still answered by stable, and `lastgood rollback` works as ever.",
    )
    .argument("[endpoint]", "may be left out where there is only one")
    .requiredOption("--reason <text>", "why, for the history and for whoever wonders")
    .option("--for <time>", "the pin ends by itself after this long (default: 4h)", durationValue)
    .addHelpText(
      "after",
      examples([
        ['lastgood pin fraud-prod --reason "load test until noon" --for 2h', ""],
        ["lastgood unpin fraud-prod", "end it earlier"],
      ]),
    )
    .action(async (endpoint, options) => {
      const client = await session.client();
      const answer = await client.steer({
        command: "pin",
        endpoint: endpoint ?? null,
        forMs: options.for ?? null,
        reason: options.reason,
        actor: await session.actor(),
      });
      session.terminal.answer(answer, () => [
        session.terminal.style("yellow", answer.done),
        ...automaticLines(answer, session),
        `${session.terminal.style("cyan", "next:")} ${session.programName} unpin ${answer.endpoint} ends it earlier`,
      ]);
    });
}
