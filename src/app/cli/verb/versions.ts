import type { Command } from "@commander-js/extra-typings";

import type { VersionSummary } from "../../../core/api/index.ts";
import { versionLabel } from "../../../core/version/index.ts";
import { examples } from "../help-text.ts";
import { ago, shortDigest } from "../phrase.ts";
import type { Session } from "../session.ts";
import { tableLines } from "../table.ts";

/** `versions`: the models, or the versions of one. */
export function define(command: Command, session: Session): void {
  command
    .description("List the registered models, or the versions of one by sequence number.")
    .argument("[model]", "a model's name")
    .addHelpText(
      "after",
      examples([
        ["lastgood versions", "all models"],
        ["lastgood versions fraud", "its versions, status and metrics"],
      ]),
    )
    .action(async (model) => {
      const client = await session.client();
      const dim = (word: string): string => session.terminal.style("dim", word);
      if (model === undefined) {
        const models = await client.models();
        const rows = models.map((each) => [each.name, String(each.versions), each.newest ?? "-"]);
        session.terminal.answer(models, () =>
          rows.length === 0
            ? [
                `no model yet; next: ${session.programName} register fraud ./model.onnx --version v1.0`,
              ]
            : tableLines([["MODEL", "VERSIONS", "NEWEST"].map(dim), ...rows]),
        );
        return;
      }
      const versions = await client.versions(model);
      const head = ["#", "VERSION", "STATUS", "ALIASES", "METRICS", "REGISTERED", "DIGEST"];
      session.terminal.answer(versions, () => tableLines([head.map(dim), ...versions.map(row)]));
    });
}

function row(version: VersionSummary): string[] {
  const metrics = Object.entries(version.metrics).map(([name, value]) => `${name}=${value}`);
  const { status, statusReason } = version;
  return [
    String(version.sequence),
    versionLabel(version),
    statusReason === null ? status : `${status}: ${statusReason}`,
    version.aliases.map((alias) => `@${alias}`).join(" ") || "-",
    metrics.join(" ") || "-",
    `${ago(version.registeredAt)} by ${version.registeredBy}`,
    shortDigest(version.digest),
  ];
}
