import type { Command } from "@commander-js/extra-typings";

import type { Incident, Incidents } from "../../../core/api/index.ts";
import { formatDuration } from "../../../core/time/index.ts";
import { metricLines } from "../describe-evidence.ts";
import { inputLines } from "../describe-inputs.ts";
import { examples } from "../help-text.ts";
import { grouped, measured, moment, shortDigest } from "../phrase.ts";
import type { Session } from "../session.ts";
import { tableLines } from "../table.ts";

/** `incident`: what broke, what was seen, what was done. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "What is known of a rollback: what broke, the evidence when it was decided, the errors with request ids, a timeline from the deploy to the verified return, what to do next. Without an id: all of them, the newest first.",
    )
    .argument("[id]", "of the rollback or of its rollout; its beginning is enough")
    .option("--endpoint <name>", "list only those of this endpoint")
    .addHelpText(
      "after",
      examples([
        ["lastgood incident", "all, the newest first"],
        ["lastgood incident 1f0c8a52", "one of them"],
        ["lastgood incident --endpoint fraud-prod --json", "for scripts"],
      ]),
    )
    .action(async (id, options) => {
      const client = await session.client();
      if (id === undefined) {
        const listed = await client.incidents(options.endpoint ?? null);
        session.terminal.answer(listed, () => describeList(listed, session));
        return;
      }
      const incident = await client.incident(id);
      session.terminal.answer(incident, () => describeIncident(incident, session));
    });
}

function describeList({ incidents }: Incidents, session: Session): string[] {
  const { terminal } = session;
  if (incidents.length === 0) return ["nothing was ever rolled back"];
  const head = ["ID", "WHEN", "ENDPOINT", "FROM", "TO", "TRIGGER", "WHY"];
  const rows = incidents.map((each) => [
    each.id.slice(0, 8),
    moment(each.at),
    each.endpoint,
    each.from.version,
    each.to === null ? terminal.style("red", "nowhere") : each.to.version,
    each.state === "reinstated" ? `${each.trigger}, taken back` : each.trigger,
    each.reason ?? "-",
  ]);
  return [
    ...tableLines([head.map((word) => terminal.style("dim", word)), ...rows]),
    `${terminal.style("cyan", "next:")} ${session.programName} incident ${incidents[0]?.id.slice(0, 8) ?? "ID"}`,
  ];
}

const STATES: Readonly<Record<Incident["state"], string>> = {
  underWay: "is being left for",
  done: "was left for",
  failed: "could not be left",
  reinstated: "was left for, and brought back instead of",
};

function headLines(incident: Incident, session: Session): string[] {
  const { endpoint, from, to, state, trigger, actor, reason, strategy } = incident;
  const where = to === null ? "" : ` ${to.version}`;
  const rollout = strategy === null ? "at rest" : `in a ${strategy} rollout`;
  return [
    session.terminal.style("bold", `${endpoint}: ${from.version} ${STATES[state]}${where}`),
    `  why       ${reason ?? "no reason was given"}`,
    `  decided   ${moment(incident.at)} by ${actor} (${trigger}), ${rollout}`,
    `  from      ${from.version}, revision ${from.revision ?? "-"}, ${shortDigest(from.digest)}`,
    ...(to === null
      ? []
      : [`  to        ${to.version}, revision ${to.revision ?? "-"}, ${shortDigest(to.digest)}`]),
  ];
}

function figures(incident: Incident): string[] {
  const { requests, detectionMs, returnMs, switchMs, failedRequests, verified, via } = incident;
  const lines: string[] = [];
  if (requests !== null)
    lines.push(
      `  requests  ${grouped(requests.assigned)} given to it, ${grouped(requests.errors)} failed: ${grouped(requests.answeredByStable)} answered by stable instead, ${grouped(requests.seenByCallers)} seen by callers${requests.failedByBoth > 0 ? ` (${grouped(requests.failedByBoth)} failed on stable too)` : ""}`,
    );
  if (detectionMs !== null)
    lines.push(`  detected  within ${formatDuration(detectionMs)} of the first failed request`);
  if (returnMs !== null)
    lines.push(
      `  back      ${verified === true ? "verified" : "not verified"} after ${formatDuration(returnMs)}; switch ${measured(switchMs)}, ${failedRequests ?? 0} requests failed by it${via === "gateway" ? "; by the gateway alone" : ""}`,
    );
  return lines;
}

function errorLines(incident: Incident, session: Session): string[] {
  const { errors } = incident;
  if (errors.length === 0) return [];
  const rows = errors.map(({ count, message, requestId }) => [
    grouped(count),
    message,
    requestId ?? "-",
  ]);
  const names = ["COUNT", "ERROR", "A REQUEST"].map((word) => session.terminal.style("dim", word));
  const [head = "", ...lines] = tableLines([names, ...rows]);
  const isKept = errors.some(({ inputs }) => inputs !== null);
  return [
    "",
    head,
    // A row is a line.
    ...lines.flatMap((line, at) => {
      const inputs = errors[at]?.inputs ?? null;
      if (inputs === null) return [line];
      return [
        line,
        ...inputLines(inputs).map((each) => session.terminal.style("dim", `  ${each}`)),
      ];
    }),
    ...(isKept
      ? []
      : [session.terminal.style("dim", "no inputs were kept (incidents.inputs in server.yaml)")]),
  ];
}

/** Of the day, to the millisecond. */
const clock = (at: number): string => new Date(at).toISOString().slice(11, 23);

function timelineLines({ timeline }: Incident, session: Session): string[] {
  if (timeline.length === 0) return [];
  const day = moment(timeline[0]?.at ?? 0).slice(0, 10);
  return [
    "",
    session.terminal.style("dim", `TIMELINE (${day}, UTC)`),
    ...timeline.map(({ at, what }) => `${clock(at)}  ${what}`),
  ];
}

function describeIncident(incident: Incident, session: Session): string[] {
  const { assessment, evidence, logLines, next, blamed } = incident;
  const lost =
    evidence !== null && evidence.gaps > 0 ? `, ${grouped(evidence.gaps)} intervals lost` : "";
  return [
    ...headLines(incident, session),
    ...(blamed.length === 0 ? [] : [`  blamed    ${blamed.join(", ")}`]),
    ...figures(incident),
    evidence === null
      ? "  evidence  none is stored about it"
      : `  evidence  ${grouped(evidence.records)} records stored${lost}`,
    ...(assessment === null ? [] : ["", ...metricLines(assessment.metrics, session)]),
    ...errorLines(incident, session),
    ...(logLines.length === 0
      ? []
      : ["", session.terminal.style("dim", "LOG"), ...logLines.map((line) => `  ${line}`)]),
    ...timelineLines(incident, session),
    ...(next.length === 0 ? [] : [""]),
    ...next.map((command) => `${session.terminal.style("cyan", "next:")} ${command}`),
  ];
}
