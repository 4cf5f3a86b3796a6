import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";

import { InvalidArgumentError, type Command } from "@commander-js/extra-typings";

import type { FeedbackItem, FeedbackTaken } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";

interface Options {
  readonly correct?: true | undefined;
  readonly wrong?: true | undefined;
  readonly label?: string | undefined;
  readonly score?: number | undefined;
  readonly csv?: string | undefined;
}

/** Understood, and refused in part. */
const REFUSED = 4;

/** `feedback`: tells what is known of predictions, by the ids of their answers. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Tell what is known of predictions, by the x-lastgood-request-id of their answers. It counts for the revision that answered, once a rollout that compares it is under watch. Exit code 4 when an id is not one of this server's compared requests.",
    )
    .usage("<request-id> --correct|--wrong|--label X|--score S, or --csv FILE [options]")
    .argument("[request-id]", "x-lastgood-request-id of the answer")
    .option("--correct", "the prediction was right")
    .option("--wrong", "the prediction was wrong")
    .option("--label <label>", "what was true: a class or a number; needs the prediction log")
    .option("--score <score>", "how good it was, from 0 to 1", scoreValue)
    .option(
      "--csv <file>",
      "many at once: columns request_id and label, correct or score; - is stdin",
    )
    .addHelpText(
      "after",
      examples([
        ["lastgood feedback fraud-prod.7.29812345.0.pQ3….17 --wrong", ""],
        ["lastgood feedback fraud-prod.7.29812345.0.pQ3….17 --label fraud", ""],
        ["lastgood feedback --csv labels.csv", "request_id,label and one line for each"],
      ]),
    )
    .action(async (requestId, options) => {
      const taken = await send(session, requestId, options);
      if (taken.refused > 0) session.exitCode = REFUSED;
      session.terminal.answer(taken, () => describe(taken));
    });
}

function scoreValue(text: string): number {
  const score = text.trim() === "" ? Number.NaN : Number(text);
  if (score >= 0 && score <= 1) return score;
  throw new InvalidArgumentError("accepted are numbers from 0 to 1.");
}

function unclear(message: string): LastgoodError {
  return new LastgoodError("usage.invalid", message, {
    hint: "for example: lastgood feedback <request-id> --wrong, or lastgood feedback --csv FILE",
  });
}

async function send(
  session: Session,
  requestId: string | undefined,
  options: Options,
): Promise<FeedbackTaken> {
  const { correct, wrong, label, score, csv } = options;
  const given = [correct, wrong, label, score].filter((each) => each !== undefined).length;
  if (csv !== undefined) {
    if (requestId !== undefined || given > 0) throw unclear("--csv stands alone");
    const text = await csvText(csv);
    return (await session.client()).feedbackCsv(text);
  }
  if (requestId === undefined) throw unclear("which request?");
  if (given !== 1)
    throw unclear("exactly one of --correct, --wrong, --label and --score is needed");
  const item: FeedbackItem = {
    requestId,
    ...(label === undefined ? {} : { label }),
    ...(score === undefined ? {} : { score }),
    ...(correct === undefined && wrong === undefined ? {} : { correct: correct === true }),
  };
  return (await session.client()).feedback([item]);
}

async function csvText(path: string): Promise<string> {
  try {
    return path === "-" ? await textOf(process.stdin) : await readFile(path, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("usage.invalid", `${path} cannot be read: ${why}`, { cause });
  }
}

function describe({ accepted, duplicates, late, refused, unknown }: FeedbackTaken): string[] {
  const parts = [
    `${accepted} taken`,
    ...(duplicates > 0 ? [`${duplicates} counted before, ignored`] : []),
    ...(late > 0 ? [`${late} older than 7 days, ignored`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
  ];
  const rest = refused - unknown.length;
  return [
    parts.join(", "),
    ...unknown.map(({ requestId, why }) => `  ${requestId}: ${why}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}
