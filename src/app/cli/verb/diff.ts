import type { Command } from "@commander-js/extra-typings";

import type { LastgoodClient } from "../../../client/index.ts";
import type { Diff, DiffRow } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { describeSpec, tensorSpecSchema } from "../../../core/version/index.ts";
import { examples } from "../help-text.ts";
import { oneLine } from "../phrase.ts";
import type { Session } from "../session.ts";
import { tableLines } from "../table.ts";
import { resolveReference } from "../version-words.ts";

const MAX_CELL = 48;

/** `diff`: two versions of a model side by side. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Two versions side by side: metrics, parameters, signature, files and sample outputs; only what differs.",
    )
    .usage("<model> <version> <version> [options]")
    .argument("<words...>", "the model and two versions, or two references")
    .option("-a, --all", "also what is equal")
    .addHelpText(
      "after",
      examples([
        ["lastgood diff fraud v1.0 v1.1", ""],
        ["lastgood diff fraud@v1.0 fraud@v1.1 --all", "also what is equal"],
      ]),
    )
    .action(async (words, options) => {
      const client = await session.client();
      const { model, left, right } = await readWords(client, words);
      const diff = await client.diff(model, left, right);
      const rows = options.all === true ? diff.rows : diff.rows.filter((row) => !row.equal);
      session.terminal.answer({ ...diff, rows }, () => describeDiff({ ...diff, rows }, session));
    });
}

async function readWords(
  client: LastgoodClient,
  words: readonly string[],
): Promise<{ model: string; left: string; right: string }> {
  const [first, second, third] = words;
  if (first !== undefined && second !== undefined && words.length === 3)
    return { model: first, left: second, right: third ?? "" };
  if (first !== undefined && second !== undefined && words.length === 2) {
    const left = await resolveReference(client, first);
    // `diff fraud@v1.0 v1.1`: the second one is of the same model.
    if (!/[@:_]/.test(second)) return { model: left.model, left: left.selector, right: second };
    const right = await resolveReference(client, second);
    if (left.model === right.model)
      return { model: left.model, left: left.selector, right: right.selector };
    throw new LastgoodError("usage.invalid", `${first} and ${second} are of different models`, {
      hint: "two versions of one model are compared",
    });
  }
  throw new LastgoodError("usage.invalid", "two versions are compared", {
    hint: "lastgood diff fraud v1.0 v1.1",
  });
}

function describeDiff(diff: Diff, session: Session): string[] {
  const { terminal } = session;
  const { model, left, right, rows } = diff;
  if (rows.length === 0) return [`${model}: ${left} and ${right} do not differ`];
  const head = ["", left, right, "CHANGE"].map((word) => terminal.style("dim", word));
  const lines: string[][] = [head];
  let section: string | null = null;
  for (const row of rows) {
    if (row.section !== section) lines.push([terminal.style("bold", row.section), "", "", ""]);
    ({ section } = row);
    lines.push([`  ${row.field}`, cell(row.left), cell(row.right), changeText(row)]);
  }
  return tableLines(lines);
}

function cell(value: unknown): string {
  const spec = tensorSpecSchema.safeParse(value);
  const text = spec.success ? describeSpec(spec.data) : oneLine(value);
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL - 1)}…` : text;
}

function changeText({ change, equal }: DiffRow): string {
  if (equal) return "";
  if (change === null) return "differs";
  return `${change > 0 ? "+" : ""}${Number(change.toPrecision(4))}`;
}
