import type { RolledBack } from "../../core/api/index.ts";
import { ago, measured } from "./phrase.ts";
import type { Session } from "./session.ts";

/** What a reinstatement did, for people: all the traffic, or the share that it had before. */
export function describeReinstatement(result: RolledBack, session: Session): string[] {
  const { terminal, programName: name } = session;
  const { endpoint, from, to } = result;
  const [, why = "", ...rest] = describeRollback(result, session);
  const words = `${endpoint} has ${to.version} again, as before the rollback to ${from.version}`;
  const next = terminal.style("cyan", "next:");
  if (result.dryRun)
    return [
      `${terminal.style("yellow", "dry run:")} ${endpoint} would have ${to.version} again, as before the rollback to ${from.version}`,
      why,
      ...rest,
    ];
  return [
    terminal.style(result.verified === false ? "yellow" : ["bold", "green"], words),
    why,
    ...rest.slice(0, -1),
    `${next} ${name} rollout status ${endpoint}; it is judged anew: ${name} pin ${endpoint} --reason "…" keeps it from going back by itself`,
  ];
}

/** What a rollback did, for people. */
export function describeRollback(result: RolledBack, session: Session): string[] {
  const { terminal, programName: name } = session;
  const lines = [headline(result, session)];
  lines.push(`  why       ${result.why}`);
  if (result.dryRun)
    lines.push(
      `  target    ${result.warm ? "warm: loaded and proven" : "cold: has to be loaded first"}`,
    );
  else if (!result.already || result.at !== null) lines.push(...measurements(result));
  if (result.passedOver.length > 0) {
    lines.push("  passed over");
    for (const { version, why } of result.passedOver) lines.push(`    ${version}: ${why}`);
  }
  lines.push(...result.notes.map((note) => `  note: ${note}`));
  const next = terminal.style("cyan", "next:");
  if (result.dryRun) lines.push(`${next} the same command without --dry-run`);
  else if (result.via === "gateway")
    lines.push(
      `${next} ${name} history ${result.endpoint} (it appears there once the control plane is back)`,
    );
  else
    lines.push(
      `${next} ${name} history ${result.endpoint}; was it wrong? ${name} reinstate ${result.endpoint} --reason "…"`,
    );
  return lines;
}

function headline(result: RolledBack, session: Session): string {
  const { terminal } = session;
  const { endpoint, from, to } = result;
  if (result.dryRun) {
    return `${terminal.style("yellow", "dry run:")} ${endpoint} would go back to ${to.version} (from ${from.version})`;
  }
  if (result.already) {
    // No rollback brought it there.
    if (result.at === null) return `${endpoint} has ${to.version} already: nothing was done`;
    return `${endpoint}: already rolled back to ${to.version}, ${ago(result.at)}, by ${result.actor} (--again goes further back)`;
  }
  const words = `${endpoint} is back on ${to.version} (was ${from.version})`;
  return terminal.style(result.verified === false ? "yellow" : ["bold", "green"], words);
}

function measurements(result: RolledBack): string[] {
  const via = result.via === "gateway" ? ", through the gateway alone" : "";
  const verified =
    result.verified === true
      ? `yes: answered by ${result.to.version} through the serving port`
      : "no";
  const lines = [`  verified  ${verified}${via}`];
  if (result.durable === false) lines.push("  on disk   not yet: the write is being retried");
  const lastOld =
    result.lastOldResponseMs === null
      ? ""
      : `; the last old answer left after ${measured(result.lastOldResponseMs)}`;
  lines.push(
    `  switch    ${measured(result.switchMs)}${result.warm ? " (warm)" : " (cold)"}${lastOld}`,
    `  failed    ${result.failedRequests ?? "unknown"} requests`,
  );
  return lines;
}
