import type { Command } from "@commander-js/extra-typings";

import type { LastgoodClient } from "../../../client/index.ts";
import type { History, HistoryEntry, HistoryVerified } from "../../../core/api/index.ts";
import { ERROR_CODES, LastgoodError } from "../../../core/errors/index.ts";
import { formatDuration } from "../../../core/time/index.ts";
import { examples } from "../help-text.ts";
import { countValue } from "../option-value.ts";
import { counted, moment, oneLine } from "../phrase.ts";
import type { Session } from "../session.ts";
import { tableLines } from "../table.ts";

const PAGE = 500;

/** `history`: who did what, when, why, and how long it took. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Who did what, when, why, and how long it took. Append-only and hash-chained: --verify recomputes the chain, names the first entry that was altered and notices a cut tail.",
    )
    .argument("[endpoint]", "may be left out where there is only one")
    .option("--limit <count>", "this many of the newest entries", countValue, 30)
    .option("--all", "every entry")
    .option("--verify", "recompute the hash chain")
    .option("--expect <head>", "with --verify: the head noted down earlier is still in the chain")
    .addHelpText(
      "after",
      examples([
        ["lastgood history fraud-prod", ""],
        ["lastgood history fraud-prod --verify", "was anything altered?"],
        ["lastgood history --verify --expect 3f9c…", "nor cut off?"],
      ]),
    )
    .action(async (endpoint, options) => {
      const client = await session.client();
      if (options.expect !== undefined && options.verify !== true) {
        throw new LastgoodError("usage.invalid", "--expect goes with --verify", {
          hint: `lastgood history --verify --expect ${options.expect}`,
        });
      }
      if (options.verify === true) {
        const expected = options.expect === undefined ? null : headOf(options.expect);
        const verified = await client.verifyHistory(endpoint ?? null, expected);
        session.terminal.answer(verified, () => describeVerified(verified, session));
        if (!verified.ok) session.exitCode = ERROR_CODES["history.altered"].exit;
        return;
      }
      const history = await readAll(client, endpoint ?? null);
      const shown = options.all === true ? history.entries : history.entries.slice(-options.limit);
      session.terminal.answer({ ...history, entries: shown }, () =>
        describeHistory({ ...history, entries: shown }, history.entries.length, session),
      );
    });
}

/** A mistyped head is in no chain: that must not sound like a history that somebody cut. */
function headOf(text: string): string {
  if (/^[\da-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new LastgoodError("usage.invalid", `"${text}" is not a head of a history`, {
    hint: "a head is 64 hex digits, as `lastgood history` prints it",
  });
}

async function readAll(client: LastgoodClient, endpoint: string | null): Promise<History> {
  const first = await client.history(endpoint, { limit: PAGE });
  const entries = [...first.entries];
  let page = first;
  while (page.entries.length === PAGE) {
    page = await client.history(first.endpoint, {
      after: entries.at(-1)?.sequence ?? 0,
      limit: PAGE,
    });
    entries.push(...page.entries);
  }
  return { ...page, entries };
}

function describeVerified(verified: HistoryVerified, session: Session): string[] {
  const { terminal } = session;
  const { endpoint, entries, head, problem, firstAltered } = verified;
  if (verified.ok) {
    return [
      terminal.style("green", `${endpoint}: the history is intact, ${entries} entries`),
      `  head      ${head ?? "-"}`,
      "note the head down: history --verify --expect HEAD then also notices a cut tail",
    ];
  }
  const where = firstAltered === null ? "" : ` (first altered entry: ${firstAltered})`;
  return [
    `${terminal.style(["bold", "red"], "ALTERED:")} ${endpoint}: ${problem ?? "the chain does not hold"}${where}`,
  ];
}

function describeHistory(history: History, total: number, session: Session): string[] {
  const { terminal } = session;
  if (total === 0) return [`${history.endpoint}: nothing has happened yet`];
  const head = ["#", "WHEN", "WHO", "WHAT", "HOW LONG", "WHY"];
  const rows = history.entries.map((entry) => [
    String(entry.sequence),
    moment(entry.at),
    entry.actor,
    what(entry),
    howLong(entry),
    entry.reason ?? "-",
  ]);
  const more = total > history.entries.length ? ` of ${total} (--all shows the rest)` : "";
  return [
    ...tableLines([head.map((word) => terminal.style("dim", word)), ...rows]),
    `${history.endpoint}: ${counted(history.entries.length, "entry").replace("entrys", "entries")}${more}, head ${history.head ?? "-"}`,
  ];
}

/** The kind, with the versions that an entry names in the usual places. */
function what(entry: HistoryEntry): string {
  const from = versionIn(entry.data["from"]);
  const to = versionIn(entry.data["to"]) ?? versionIn(entry.data["version"]);
  const weight = entry.data["weight"];
  const kind = entry.kind.replaceAll(".", " ") + (typeof weight === "number" ? ` ${weight} %` : "");
  if (from !== null && to !== null) return `${kind}: ${from} → ${to}`;
  return to === null ? kind : `${kind}: ${to}`;
}

function versionIn(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || !("version" in value)) return null;
  return oneLine(value.version);
}

function howLong(entry: HistoryEntry): string {
  for (const name of ["switchMs", "durationMs", "tookMs"]) {
    const ms = entry.data[name];
    if (typeof ms === "number") return formatDuration(ms);
  }
  return "-";
}
