import type { Command } from "@commander-js/extra-typings";

import { rollbackBodySchema } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { parseVersionReference } from "../../../core/version/index.ts";
import { commandBody } from "../command-body.ts";
import { describeRollback } from "../describe-rollback.ts";
import { examples } from "../help-text.ts";
import { countValue } from "../option-value.ts";
import { rollBack } from "../roll-back.ts";
import type { Session } from "../session.ts";

/** `rollback`: brings the last good version back, or a named one. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Bring the last good version back, now, verified. Without --version the target is chosen: the newest proven stable revision that differs. Works without the control plane too: without an answer of the API within 1 s it goes to the gateway itself.",
    )
    .argument("[endpoint]", "endpoint or model; may be left out where only one fits")
    .option("--version <version>", "go to this version: v1.0, or 3 for the third registered")
    .option("--to-revision <number>", "go to this revision of the endpoint", countValue)
    .option("--if-current <version>", "only if this version is what would be left")
    .option("--reason <text>", "why, for the history")
    .option("--dry-run", "say what would happen, change nothing")
    .option("--force", "also to a version with a bad status or another signature")
    .option("--again", "go further back although a rollback was just made")
    .option("--keep-status", "do not mark what is left as failed")
    .option("--direct", "ask the gateway on this machine, not the API")
    .option("-y, --yes", "accepted for scripts: rollback never asks")
    .addHelpText(
      "after",
      examples([
        ["lastgood rollback", "the only endpoint, to its target"],
        ["lastgood rollback fraud-prod --dry-run", "what it would do, warm or cold"],
        ["lastgood rollback fraud-prod --version v1.0 --reason 'wrong scores'", ""],
        [
          "lastgood rollback --if-current v2.0",
          "safe to run from two pipelines: leaves v2.0 or nothing",
        ],
        ["mlops rollback --version 3", "by sequence number"],
      ]),
    )
    .action(async (endpoint, options) => {
      const { version, toRevision } = options;
      if (version !== undefined && toRevision !== undefined) {
        throw new LastgoodError("usage.invalid", "--version and --to-revision exclude each other", {
          hint: "name the version or the revision",
        });
      }
      // `rollback fraud@v1.0`: the whole reference, and the endpoint that serves the model.
      const isReference = endpoint !== undefined && version === undefined && /[@:]/.test(endpoint);
      const body = commandBody(rollbackBodySchema, {
        ...options,
        endpoint: isReference ? parseVersionReference(endpoint, []).model : endpoint,
        version: isReference ? endpoint : version,
        trigger: "manual",
        actor: await session.actor(),
      });
      const result = await rollBack(session, body, { direct: options.direct ?? false });
      session.terminal.answer(result, () => describeRollback(result, session));
    });
}
