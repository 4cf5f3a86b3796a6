import type { Command } from "@commander-js/extra-typings";

import { policyYaml } from "../../config/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";

/** `policy show`: what is in force at an endpoint, as a file. */
export function define(command: Command, session: Session): void {
  command
    .usage("show [endpoint] [options]")
    .addHelpText(
      "after",
      examples([["lastgood policy show fraud-prod", "as a file to change and to apply"]]),
    );
  command
    .command("show")
    .description("The policy in force at an endpoint, every key written out.")
    .argument("[endpoint]", "may be left out where there is only one")
    .addHelpText(
      "after",
      examples([
        ["lastgood policy show", ""],
        ["lastgood policy show fraud-prod > lastgood.yaml", "a file to change and to apply"],
      ]),
    )
    .action(async (endpoint) => {
      const shown = await (await session.client()).policy(endpoint ?? null);
      const yaml = await policyYaml(shown.policy);
      session.terminal.answer(shown, () => [
        ...(shown.isDefault ? ["# no policy was applied: these are the defaults"] : []),
        yaml.trimEnd(),
      ]);
    });
}
