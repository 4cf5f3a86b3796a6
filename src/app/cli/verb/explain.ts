import type { Command } from "@commander-js/extra-typings";

import {
  firstDifference,
  replay,
  type AnalysisPlan,
  type Assessment,
  type Decision,
} from "../../../core/analysis/index.ts";
import { ERROR_CODES, LastgoodError } from "../../../core/errors/index.ts";
import { assessmentLines } from "../describe-evidence.ts";
import {
  downloadEvidence,
  readEvidenceFile,
  writeEvidenceFile,
  type WholeEvidence,
} from "../evidence-file.ts";
import { examples } from "../help-text.ts";
import { grouped, moment, oneLine } from "../phrase.ts";
import type { Session } from "../session.ts";
import { tableLines } from "../table.ts";

/** Whether what was computed again is what the history has. */
interface Comparison {
  /** Null: nothing was recorded to compare with. */
  readonly agrees: boolean | null;
  readonly difference: {
    readonly path: string;
    readonly recorded: unknown;
    readonly computed: unknown;
  } | null;
}

/** What was computed again. */
interface Explained extends Comparison {
  readonly id: string;
  readonly rollout: string;
  readonly endpoint: string;
  readonly candidate: string;
  readonly stable: string | null;
  readonly intervals: number;
  readonly decisions: readonly Decision[];
  /** When the rollback or the end of the bake was decided, else after everything that is stored. */
  readonly assessment: Assessment | null;
  /** What ended it; `rollback` is null where it became stable. */
  readonly recorded: {
    readonly sequence: number;
    readonly at: number;
    readonly rollback: string | null;
  } | null;
}

/** `explain`: computes every verdict on a rollout again. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Compute every verdict on a rollout again, here, from its plan and its stored intervals, and compare the result with what the history recorded when it was rolled back or became stable, to the last digit. Exit code 1 when they differ.",
    )
    .argument("[id]", "of the rollout or of the rollback; its beginning is enough")
    .option("--file <path>", "from evidence that was exported, without a server")
    .option("--export <path>", "save the evidence as JSON as well")
    .addHelpText(
      "after",
      examples([
        ["lastgood explain 1f0c8a52", "does the evidence say what was decided?"],
        ["lastgood explain 1f0c8a52 --export evidence.json", "for an audit elsewhere"],
        ["lastgood explain --file evidence.json", ""],
      ]),
    )
    .action(async (id, options) => {
      const evidence = await evidenceFor(session, id, options.file);
      if (options.export !== undefined) await writeEvidenceFile(options.export, evidence);
      const explained = explain(evidence, options.file ?? "what the server gave");
      session.terminal.answer(explained, () => describe(explained, session));
      if (explained.agrees === false) session.exitCode = ERROR_CODES["history.altered"].exit;
    });
}

async function evidenceFor(
  session: Session,
  id: string | undefined,
  file: string | undefined,
): Promise<WholeEvidence> {
  if ((id === undefined) === (file === undefined))
    throw new LastgoodError("usage.invalid", "explain takes either an id or --file", {
      hint: "`lastgood incident` lists rollbacks with their ids",
    });
  if (file !== undefined) return readEvidenceFile(file);
  return downloadEvidence(await session.client(), id ?? "", (intervals) =>
    session.terminal.note(`${grouped(intervals)} intervals so far`),
  );
}

/** What was recorded, beside what is computed of the same intervals. */
function compare({ recorded }: WholeEvidence, assessment: Assessment | null): Comparison {
  if (recorded === null) return { agrees: null, difference: null };
  // As JSON has it: that is how it was recorded.
  const computed = JSON.parse(JSON.stringify(assessment)) as unknown;
  const found = firstDifference(
    figuresOf(recorded.assessment, recorded.context !== null),
    figuresOf(computed, recorded.context !== null),
  );
  if (found === null) return { agrees: true, difference: null };
  const { path, left, right } = found;
  return { agrees: false, difference: { path, recorded: left ?? null, computed: right ?? null } };
}

/**
 * What is compared: decisions and figures. Sentences are made of them, and a later release may put them
 * otherwise. An entry that does not say what was asked is compared without what depends on that.
 */
function figuresOf(assessment: unknown, isAsked: boolean): unknown {
  if (typeof assessment !== "object" || assessment === null) return assessment;
  const { why: _, metrics = [], source, ...rest } = assessment as Partial<Assessment>;
  const figures = metrics.map(({ words: __, detectable, ...metric }) =>
    isAsked ? { ...metric, detectable } : metric,
  );
  return { ...rest, ...(isAsked ? { source } : {}), metrics: figures };
}

function intervalsUntil({ intervals }: WholeEvidence, last: number): number {
  return intervals.filter(({ position }) => position <= last).length;
}

/** Computes it again. @throws `input.invalid` where the evidence makes no sense. */
function explain(evidence: WholeEvidence, from: string): Explained {
  const { recorded, intervals } = evidence;
  const until = recorded?.position ?? Infinity;
  const known = intervals.flatMap(({ position, interval }) =>
    position <= until ? [interval] : [],
  );
  try {
    // A plan is written by the same program and never changed; one that is not is found out below.
    const plan = evidence.plan as unknown as AnalysisPlan;
    const looks = evidence.looks.flatMap(({ position, context }) =>
      position <= until ? [{ intervals: intervalsUntil(evidence, position), context }] : [],
    );
    const { bakingSince } = evidence;
    const { decisions, assessment } = replay(plan, known, recorded?.context ?? null, {
      looks,
      bakingSince,
    });
    return {
      id: evidence.id,
      rollout: evidence.rollout,
      endpoint: evidence.endpoint,
      candidate: evidence.candidate.version,
      stable: evidence.stable?.version ?? null,
      intervals: known.length,
      decisions,
      assessment,
      recorded:
        recorded === null
          ? null
          : { sequence: recorded.sequence, at: recorded.at, rollback: recorded.rollback },
      ...compare(evidence, assessment),
    };
  } catch (cause) {
    throw new LastgoodError("input.invalid", `${from} holds evidence that cannot be computed`, {
      hint: "its plan or its intervals were altered, or are of another version of lastgood",
      cause,
    });
  }
}

function verdictLines(explained: Explained, session: Session): string[] {
  const { terminal } = session;
  const { agrees, difference, recorded } = explained;
  if (agrees === null || recorded === null)
    return ["nothing was recorded to compare with: it was not ended by its evidence"];
  const became = recorded.rollback === null ? ", by which it became stable" : "";
  const entry = `entry ${recorded.sequence} of the history, ${moment(recorded.at)}${became}`;
  if (agrees) return [terminal.style(["bold", "green"], `agrees with ${entry}, to the last digit`)];
  return [
    `${terminal.style(["bold", "red"], "DIFFERS")} from ${entry}`,
    `  first at  ${difference?.path ?? "-"}`,
    `  recorded  ${oneLine(difference?.recorded)}`,
    `  computed  ${oneLine(difference?.computed)}`,
  ];
}

function describe(explained: Explained, session: Session): string[] {
  const { terminal } = session;
  const { endpoint, candidate, stable, intervals, decisions, assessment } = explained;
  const rows = decisions.map(({ at, decision, logE, intervals: after, why }) => [
    moment(at),
    grouped(after),
    decision,
    (logE / Math.LN10).toFixed(1),
    why,
  ]);
  const head = ["WHEN", "INTERVALS", "DECISION", "LOG10 E", "WHY"];
  return [
    terminal.style(
      "bold",
      `${endpoint}: ${candidate}${stable === null ? "" : ` beside ${stable}`}, computed again from ${grouped(intervals)} intervals`,
    ),
    ...verdictLines(explained, session),
    ...(rows.length === 0
      ? []
      : ["", ...tableLines([head.map((word) => terminal.style("dim", word)), ...rows])]),
    ...(assessment === null ? [] : ["", ...assessmentLines(assessment, session)]),
  ];
}
