import { Option, type Command } from "@commander-js/extra-typings";

import type { LastgoodClient } from "../../../client/index.ts";
import {
  deployBodySchema,
  type DeployBody,
  type Deployed,
  type RolloutView,
} from "../../../core/api/index.ts";
import { ENVIRONMENTS, STRATEGIES } from "../../../core/endpoint/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { formatDuration } from "../../../core/time/index.ts";
import { readPolicyFile, type PolicyDocument } from "../../config/index.ts";
import { commandBody } from "../command-body.ts";
import { Deadline, tooShortFor } from "../deadline.ts";
import { outlookLines } from "../describe-outlook.ts";
import { examples } from "../help-text.ts";
import { countValue, durationValue, percentValue } from "../option-value.ts";
import { measured } from "../phrase.ts";
import type { Session } from "../session.ts";
import { startedBefore, waitForRollout } from "../wait.ts";

/** `deploy`: rolls a version out to an endpoint. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Roll a version out to an endpoint, which is made where there is none yet. Returns when the candidate carries what was asked, verified, and says what comes next and which regressions the traffic so far can show; --wait follows it to its end and says why it was taken back.",
    )
    .argument("<version>", "fraud@v1.1, models:/fraud/2, fraud@champion")
    .option("--to <endpoint>", "endpoint; may be left out where one serves the model")
    .addOption(
      new Option("--environment <name>", "at the endpoint's first deploy").choices(ENVIRONMENTS),
    )
    .addOption(
      new Option(
        "--strategy <name>",
        "how the candidate takes over (default: the endpoint's policy, else blueGreen)",
      ).choices(STRATEGIES),
    )
    .option("--weight <percent>", "canary: share of the traffic in the first step", percentValue)
    .option("--bake <time>", "watch over the candidate once it has all traffic", durationValue)
    .option("--policy <file>", "put this policy in force at the endpoint first")
    .option("--if-current <version>", "only if this version serves now")
    .option("--replace", "end an unfinished rollout first")
    .option("--force", "also a version that failed, or with another signature")
    .option("--reason <text>", "why, for the history")
    .option("--dry-run", "say what would happen, change nothing")
    .option(
      "--wait",
      "wait until the rollout has ended; its outcome is the exit code (5 at once where it waits for a person)",
    )
    .addOption(
      new Option(
        "--timeout <time>",
        "with --wait: give up this long after the command began; the rollout goes on (default: as long as its steps and bake are planned to take, 10 min more, and while it is held)",
      ).argParser(durationValue),
    )
    .addOption(new Option("--poll <ms>").argParser(countValue).default(250).hideHelp())
    .addHelpText(
      "after",
      examples([
        ["lastgood deploy fraud@v1.0 --to fraud-prod", "the first one makes the endpoint"],
        ["lastgood deploy fraud@v1.1", "blue/green, then 1 h of bake"],
        ["lastgood deploy fraud@v1.1 --strategy canary --weight 10", "10 % of the traffic first"],
        ["lastgood deploy fraud@v1.1 --policy lastgood.yaml", "as the file says"],
        ["lastgood deploy fraud@v1.1 --bake 10m --wait", "for pipelines: exit 0, 3, 5 or 6"],
      ]),
    )
    .action(async (reference, options) => {
      const waits = options.wait === true;
      const deadline =
        waits && options.timeout !== undefined ? new Deadline(options.timeout) : null;
      const { client } = await session.connect();
      const body = commandBody(deployBodySchema, {
        ...options,
        reference,
        endpoint: options.to,
        bakeMs: options.bake,
        policy: options.policy === undefined ? null : await policyOf(options.policy),
        actor: await session.actor(),
      });
      await carryOut(session, body, { client, waits, deadline, pollMs: options.poll });
    });
}

interface Waiting {
  readonly client: LastgoodClient;
  /** `--wait` */
  readonly waits: boolean;
  readonly deadline: Deadline | null;
  readonly pollMs: number;
}

/** Deploys, and where that is asked for waits for the end. @throws how it ended, as `waitForRollout`. */
async function carryOut(session: Session, body: DeployBody, waiting: Waiting): Promise<void> {
  const { terminal } = session;
  const { client, waits, deadline } = waiting;
  const deployed = await startedBefore(deadline, body.reference, (signal) =>
    client.deploy(body, signal),
  );
  const { rollout } = deployed;
  if (rollout !== null && deadline !== null)
    terminal.note(...tooShortFor(rollout, deadline).map((line) => `note: ${line}`));
  if (waits && !deployed.dryRun && rollout !== null)
    return follow(session, { deployed, rollout }, waiting);
  terminal.answer(deployed, () => describeDeployed(deployed, session));
}

/** Waits for the end of what was begun. @throws how it ended, as `waitForRollout`. */
async function follow(
  session: Session,
  { deployed, rollout }: { readonly deployed: Deployed; readonly rollout: RolloutView },
  { client, deadline, pollMs }: Waiting,
): Promise<void> {
  const { terminal } = session;
  terminal.note(...describeDeployed(deployed, session));
  const ended = await waitForRollout(client, rollout, {
    deadline,
    pollMs,
    note: (line) => terminal.note(line),
  });
  terminal.answer({ ...deployed, rollout: ended }, () => [
    `${terminal.style("green", "Succeeded:")} ${deployed.endpoint} is on ${ended.to.version}, stable`,
  ]);
}

/** The one policy of a file. @throws `config.invalid`. */
async function policyOf(path: string): Promise<PolicyDocument["written"]> {
  const [first, second] = await readPolicyFile(path);
  if (first !== undefined && second === undefined) return first.written;
  throw new LastgoodError("config.invalid", `${path} holds policies of several endpoints`, {
    hint: `put them in force first: lastgood apply -f ${path}`,
  });
}

/** What a deploy did, for people. */
export function describeDeployed(deployed: Deployed, session: Session): string[] {
  return [
    headline(deployed, session),
    ...facts(deployed),
    ...(deployed.outlook === null ? [] : outlookLines(deployed.outlook)),
    ...deployed.notes.map((note) => `  note: ${note}`),
  ];
}

function headline(deployed: Deployed, session: Session): string {
  const { terminal } = session;
  const { rollout, endpoint } = deployed;
  const version = rollout?.to.version ?? deployed.current?.version ?? "nothing";
  const rehearsal = deployed.dryRun ? `${terminal.style("yellow", "dry run:")} ` : "";
  if (!deployed.started) {
    const has = rollout === null ? `has ${version}` : `is on its way to ${version}`;
    return `${rehearsal}${endpoint} ${has} already; nothing ${deployed.dryRun ? "would be" : "was"} done`;
  }
  if (deployed.dryRun) return `${rehearsal}${endpoint} would get ${version}`;
  const share =
    rollout !== null && rollout.weight < 100 ? ` with ${rollout.weight} % of the traffic` : "";
  return terminal.style("green", `${endpoint} is on ${version}${share}`);
}

function facts(deployed: Deployed): string[] {
  const { rollout } = deployed;
  const lines: string[] = [];
  if (rollout !== null && rollout.from !== null) lines.push(`  from      ${rollout.from.version}`);
  if (rollout !== null) lines.push(`  phase     ${phaseText(rollout.phase, rollout.bakeEndsAt)}`);
  if (deployed.dryRun || !deployed.started) return lines;
  lines.push(`  verified  ${deployed.verified ? "yes, through the serving port" : "no"}`);
  if (deployed.switchMs !== null) {
    const failed = deployed.failedRequests ?? 0;
    lines.push(`  switch    ${measured(deployed.switchMs)}, requests failed: ${failed}`);
  }
  return lines;
}

function phaseText(phase: string, bakeEndsAt: number | null): string {
  if (bakeEndsAt === null || phase !== "Baking") return phase;
  return `${phase}, stable in ${formatDuration(Math.max(0, bakeEndsAt - Date.now()))}`;
}
