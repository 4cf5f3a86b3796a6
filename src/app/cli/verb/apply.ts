import { Option, type Command } from "@commander-js/extra-typings";

import type { LastgoodClient } from "../../../client/index.ts";
import type { AppliedPolicy } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { policyJsonSchema } from "../../../core/policy/index.ts";
import { readPolicyFile, type PolicyDocument } from "../../config/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";

/** `apply`: puts the policies of a file in force. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Put a policy file in force: how versions reach an endpoint, what is watched, and what rolls back by itself. The endpoint is made where there is none yet. A rollout under way goes on as it was started.",
    )
    .option("-f, --file <file>", "lastgood.yaml; several documents are several endpoints")
    .option("--reason <text>", "why, for the history")
    .option("--dry-run", "say what would change, change nothing")
    .addOption(
      new Option("--schema", "print the JSON Schema of policy files").conflicts(["file", "dryRun"]),
    )
    .addHelpText(
      "after",
      examples([
        ["lastgood apply -f lastgood.yaml --dry-run", "what would change, key by key"],
        ["lastgood apply -f lastgood.yaml", "the same again changes nothing"],
        [
          "lastgood apply --schema > lastgood.schema.json",
          "for editors, see docs/concepts/policy.md",
        ],
      ]),
    )
    .action(async (options) => {
      if (options.schema === true) {
        const schema = policyJsonSchema();
        session.terminal.answer(schema, () => [JSON.stringify(schema, null, 2)]);
        return;
      }
      if (options.file === undefined)
        throw new LastgoodError("usage.invalid", "apply needs a policy file", {
          hint: "lastgood apply -f lastgood.yaml",
        });
      const documents = await readPolicyFile(options.file);
      const client = await session.client();
      const how = { actor: await session.actor(), reason: options.reason ?? null };
      // What is refused of one document must not leave the others half applied.
      const rehearsed = await applyAll(client, documents, { ...how, dryRun: true });
      const applied =
        options.dryRun === true
          ? rehearsed
          : await applyAll(client, documents, { ...how, dryRun: false });
      session.terminal.answer({ endpoints: applied }, () =>
        applied.flatMap((one) => describeApplied(one, session)),
      );
    });
}

async function applyAll(
  client: LastgoodClient,
  documents: readonly PolicyDocument[],
  how: { readonly actor: string; readonly reason: string | null; readonly dryRun: boolean },
): Promise<AppliedPolicy[]> {
  const applied: AppliedPolicy[] = [];
  for (const { written, endpoint } of documents)
    applied.push(await client.applyPolicy(endpoint.name, { policy: { ...written }, ...how }));
  return applied;
}

function headline({ created, changed, dryRun }: AppliedPolicy): string {
  if (created) return dryRun ? "would be made, under this policy" : "made, under this policy";
  if (!changed) return "has this policy already; nothing was done";
  return dryRun ? "would get this policy" : "policy applied";
}

/** What applying a policy did, for people: what differs as lines of a diff. */
export function describeApplied(applied: AppliedPolicy, session: Session): string[] {
  const { terminal } = session;
  const { endpoint, changes, notes, dryRun, changed } = applied;
  const words = `${endpoint}: ${headline(applied)}`;
  const first = dryRun
    ? `${terminal.style("yellow", "dry run:")} ${words}`
    : changed
      ? terminal.style("green", words)
      : words;
  return [
    first,
    ...changes.flatMap(({ key, before, after }) => [
      ...(before === null ? [] : [terminal.style("red", `  - ${key}: ${before}`)]),
      ...(after === null ? [] : [terminal.style("green", `  + ${key}: ${after}`)]),
    ]),
    ...notes.map((note) => `  note: ${note}`),
  ];
}
