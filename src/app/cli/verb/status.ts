import type { Command } from "@commander-js/extra-typings";

import type { EndpointView, Status } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { formatDuration } from "../../../core/time/index.ts";
import { automaticLines, stepName } from "../describe-rollout.ts";
import { examples } from "../help-text.ts";
import { ago, counted, serverText } from "../phrase.ts";
import { BROKEN_OFF, type Session } from "../session.ts";
import { tableLines } from "../table.ts";

const REDRAW_MS = 1_000;
const CLEAR_SCREEN = "\u001b[2J\u001b[H";

/** `status`: what every endpoint serves, and what a rollback would do now. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "What every endpoint serves, how its rollout stands, and where a rollback would go now, warm or cold.",
    )
    .argument("[endpoint]", "one endpoint with its revisions")
    .option("-w, --watch", "show it again every second (with --json: one line each)")
    .addHelpText(
      "after",
      examples([
        ["lastgood status", "all endpoints"],
        ["lastgood status fraud-prod", "one, with its revisions"],
        ["lastgood status --watch", ""],
      ]),
    )
    .action(async (endpoint, options) => {
      const client = await session.client();
      for (;;) {
        const status = await client.status();
        const found = endpoint === undefined ? null : pick(status, endpoint);
        if (options.watch === true && session.terminal.isTerminal && !session.terminal.json)
          session.terminal.raw(CLEAR_SCREEN);
        session.terminal.answer(found ?? status, () =>
          found === null ? describeStatus(status, session) : describeEndpoint(found, session),
        );
        if (options.watch !== true) return;
        if (session.terminal.isUnread) {
          session.exitCode = BROKEN_OFF;
          return;
        }
        await new Promise((resolve) => {
          setTimeout(resolve, REDRAW_MS);
        });
      }
    });
}

/** The endpoint of that name, else the only one of the model of that name. */
function pick(status: Status, name: string): EndpointView {
  const named = status.endpoints.find((endpoint) => endpoint.name === name);
  if (named !== undefined) return named;
  const serving = status.endpoints.filter((endpoint) => endpoint.model === name);
  if (serving[0] !== undefined && serving.length === 1) return serving[0];
  const names = status.endpoints.map((endpoint) => endpoint.name).join(", ");
  throw new LastgoodError("endpoint.not-found", `there is no endpoint ${name}`, {
    hint:
      names === "" ? "deploy a version first: lastgood deploy fraud@v1.0" : `there are ${names}`,
  });
}

function describeStatus(status: Status, session: Session): string[] {
  const { terminal, programName } = session;
  if (status.endpoints.length === 0) {
    return [
      "no endpoint serves anything yet",
      `${terminal.style("cyan", "next:")} ${programName} register fraud ./model.onnx --version v1.0, then ${programName} deploy fraud@v1.0`,
    ];
  }
  const head = ["ENDPOINT", "MODEL", "SERVES", "ROLLOUT", "ROLLBACK TO"].map((word) =>
    terminal.style("dim", word),
  );
  const rows = status.endpoints.map((endpoint) => [
    terminal.style("bold", endpoint.name),
    endpoint.model,
    servesText(endpoint),
    rolloutText(endpoint),
    targetText(endpoint, session),
  ]);
  return [
    ...tableLines([head, ...rows]),
    ...alarmLines(status.alarms, session),
    ...status.endpoints.flatMap((endpoint) =>
      alarmLines(
        endpoint.alarms.map((alarm) => `${endpoint.name}: ${alarm}`),
        session,
      ),
    ),
    ...status.endpoints.flatMap((endpoint) =>
      automaticLines(endpoint, session).map(
        (line) => `${endpoint.name}: ${line.trim().replace(/^\w+ +/, "")}`,
      ),
    ),
  ];
}

function servesText({ current, split }: EndpointView): string {
  if (split.length > 1) return split.map((arm) => `${arm.version} ${arm.weight} %`).join(", ");
  return current === null ? "nothing" : current.version;
}

function rolloutText({ rollout }: EndpointView): string {
  if (rollout === null) return "-";
  const left =
    rollout.phase === "Baking" && rollout.bakeEndsAt !== null
      ? ` ${formatDuration(Math.max(0, rollout.bakeEndsAt - Date.now()))} left`
      : "";
  const step = rollout.phase === "Progressing" ? stepName(rollout) : null;
  const states = [
    ...(step === null ? [] : [` ${step}`]),
    ...(rollout.paused === null ? [] : [", paused"]),
    ...(rollout.undecided ? [", undecided"] : rollout.held === null ? [] : [", held"]),
  ];
  return `${rollout.phase} ${rollout.to.version}${left}${states.join("")}`;
}

function targetText({ rollback }: EndpointView, session: Session): string {
  const { target, warm, expectedSeconds } = rollback;
  if (target === null) return session.terminal.style("yellow", "no way back");
  if (warm) return `${target.version} ${session.terminal.style("green", "warm")}`;
  return `${target.version} ${session.terminal.style("yellow", `cold, about ${formatDuration(expectedSeconds * 1_000)}`)}`;
}

/** In the view of one endpoint it is told that it goes back by itself, too. */
function automaticText(endpoint: EndpointView, session: Session): string[] {
  const off = automaticLines(endpoint, session);
  return off.length > 0 ? off : ["  automatic goes back by itself when the evidence says so"];
}

function alarmLines(alarms: readonly string[], session: Session): string[] {
  return alarms.map((alarm) => `${session.terminal.style(["bold", "red"], "alarm:")} ${alarm}`);
}

/** What a revision's own server takes. */
function processLines({ revision, version, process }: EndpointView["revisions"][number]): string[] {
  if (process === undefined) return [];
  const { launcher, startedInMs, environment } = process;
  return [
    `  server of ${version} (revision ${revision}): launcher ${launcher}, ${serverText(process)}, started in ${formatDuration(startedInMs)}, environment ${environment}`,
  ];
}

function describeEndpoint(endpoint: EndpointView, session: Session): string[] {
  const { terminal } = session;
  const head = ["REVISION", "VERSION", "STATUS", "LOADED", "REQUESTS", "ERRORS", "SINCE", "PROOF"];
  const rows = endpoint.revisions
    .toReversed()
    .map((each) => [
      `${each.revision}${each.revision === endpoint.current?.revision ? " *" : ""}`,
      each.version,
      each.reason === null ? each.status : `${each.status}: ${each.reason}`,
      each.warm ? "warm" : "-",
      String(each.requests),
      String(each.errors),
      ago(each.createdAt),
      each.proof ?? "-",
    ]);
  const { rollback } = endpoint;
  return [
    `${terminal.style("bold", endpoint.name)} serves ${servesText(endpoint)} (model ${endpoint.model}, ${endpoint.environment})`,
    `  rollout   ${rolloutText(endpoint)}`,
    `  rollback  ${targetText(endpoint, session)}: ${rollback.why}`,
    ...rollback.passedOver.map(({ version, why }) => `    passed over ${version}: ${why}`),
    ...(endpoint.rollout?.held ? [`  held      ${endpoint.rollout.held.why}`] : []),
    ...automaticText(endpoint, session),
    `  history   ${endpoint.historyHead ?? "-"}`,
    "",
    ...tableLines([head.map((word) => terminal.style("dim", word)), ...rows]),
    counted(endpoint.revisions.length, "revision"),
    ...endpoint.revisions.flatMap(processLines),
    ...alarmLines(endpoint.alarms, session),
  ];
}
