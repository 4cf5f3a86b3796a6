import type { Command } from "@commander-js/extra-typings";

import type { VersionView } from "../../../core/api/index.ts";
import { formatDuration } from "../../../core/time/index.ts";
import { describeRuntime, describeSpec } from "../../../core/version/index.ts";
import { examples } from "../help-text.ts";
import { bytes, counted, moment, serverText, shortDigest } from "../phrase.ts";
import type { Session } from "../session.ts";
import { fullName, pipelineLines, readVersionWords, referenceText } from "../version-words.ts";

/** `show`: everything about a version. */
export function define(command: Command, session: Session): void {
  command
    .description("Everything about a version: status, signature, files, metrics, lineage, proof.")
    .usage("<version> [options]")
    .argument("<words...>", "fraud@v1.1, or the model and the version")
    .addHelpText(
      "after",
      examples([
        ["lastgood show fraud@v1.1", ""],
        ["lastgood show fraud 3 --json", "by sequence number, with golden samples"],
      ]),
    )
    .action(async (words) => {
      const client = await session.client();
      const { model, selector } = await readVersionWords(client, words);
      const version = await client.version(model, selector);
      session.terminal.answer(version, () => describeVersion(version, session));
    });
}

function describeVersion(version: VersionView, session: Session): string[] {
  const { terminal } = session;
  const reason = version.statusReason === null ? "" : `: ${version.statusReason}`;
  const batching = version.batching.on ? "on" : `off: ${version.batching.why}`;
  const served = version.servedBy.map(
    ({ endpoint, revision }) => `${endpoint} revision ${revision}`,
  );
  return [
    `${terminal.style("bold", fullName(version))} (number ${version.sequence}) ${version.status}${reason}`,
    `  registered  ${moment(version.registeredAt)} by ${version.registeredBy}`,
    `  served by   ${served.join(", ") || "no endpoint"}`,
    `  digest      ${version.digest}`,
    `  aliases     ${version.aliases.map((alias) => `@${alias}`).join(" ") || "-"}`,
    `  runtime     ${describeRuntime(version.runtime)}, ${version.engine.name} ${version.engine.version}`,
    ...processLines(version),
    ...listed("steps", pipelineLines(version.runtime)),
    `  batching    ${batching}`,
    `  golden      ${counted(version.golden.length, "sample")}`,
    ...(version.reference === null ? [] : [`  reference   ${referenceText(version.reference)}`]),
    ...listed("takes", version.signature.inputs.map(describeSpec)),
    ...listed(
      "columns",
      version.signature.inputs.flatMap(({ columns }) =>
        columns === undefined ? [] : [columns.join(", ")],
      ),
    ),
    ...listed("gives", version.signature.outputs.map(describeSpec)),
    ...listed(
      "files",
      version.files.map(
        (file) => `${file.path}   ${bytes(file.size)}   ${shortDigest(file.digest)}`,
      ),
    ),
    ...pairs("metrics", version.metrics),
    ...pairs("params", version.params),
    ...pairs("tags", version.tags),
    ...pairs("lineage", version.lineage),
  ];
}

/** Of a managed version: what it runs in, how long it takes to start, and where it runs now. */
function processLines({ process, servers }: VersionView): string[] {
  const [running = process] = servers;
  return [
    ...(running === undefined
      ? []
      : [
          `  environment ${running.environment}`,
          `  starts in   ${formatDuration(running.startedInMs)}`,
        ]),
    ...listed(
      "servers",
      servers.map(
        (server) => `${server.endpoint} revision ${server.revision}: ${serverText(server)}`,
      ),
    ),
  ];
}

function listed(title: string, lines: readonly string[]): string[] {
  return lines.map((line, index) => `  ${(index === 0 ? title : "").padEnd(10)}  ${line}`);
}

function pairs(title: string, record: Readonly<Record<string, string | number>>): string[] {
  return listed(
    title,
    Object.entries(record).map(([name, value]) => `${name} = ${value}`),
  );
}
