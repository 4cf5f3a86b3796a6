import { Option, type Command } from "@commander-js/extra-typings";

import type { RolloutCommand } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { describeRollout, rolloutLines } from "../describe-rollout.ts";
import { examples } from "../help-text.ts";
import { countValue, durationValue, percentValue } from "../option-value.ts";
import type { Session } from "../session.ts";
import { watchRollout } from "../watch-rollout.ts";

const ENDPOINT = "may be left out where only one fits";

/** `rollout`: steers a rollout by hand. */
export function define(command: Command, session: Session): void {
  command.usage("<what> [options]").addHelpText(
    "after",
    examples([
      ["lastgood rollout status --watch", "step, evidence, time left, until it has ended"],
      ["lastgood rollout set-weight 25", "canary: a quarter of the traffic"],
      ["lastgood rollout pause --for 2h", "stop advancing; protection stays"],
      ["lastgood rollout promote", "next step, or the end of the bake"],
      ["lastgood rollout abort", "back to stable; the candidate is not judged"],
    ]),
  );
  defineStatus(command, session);
  defineSetWeight(command, session);
  definePause(command, session);
  definePromote(command, session);
  const simple = {
    resume: "let a paused rollout advance again",
    abort: "go back to stable; the candidate is not judged",
  } as const;
  for (const name of ["resume", "abort"] as const) {
    command
      .command(name)
      .description(simple[name])
      .argument("[endpoint]", ENDPOINT)
      .option("--reason <text>", "why, for the history")
      .addHelpText("after", examples([[`lastgood rollout ${name} fraud-prod`, ""]]))
      .action((endpoint, options) =>
        steer(session, (actor) => ({
          command: name,
          endpoint: endpoint ?? null,
          reason: options.reason ?? null,
          actor,
        })),
      );
  }
}

function defineStatus(command: Command, session: Session): void {
  command
    .command("status")
    .description(
      "the rollout under way, or the last one: its step, each metric's evidence against its threshold, what it can still see",
    )
    .argument("[endpoint]", ENDPOINT)
    .option(
      "-w, --watch",
      "follow it to its end, which is the exit code (0, 3, 5 or 6); Ctrl-C detaches",
    )
    .addOption(new Option("--poll <ms>").argParser(countValue).default(1_000).hideHelp())
    .addHelpText(
      "after",
      examples([
        ["lastgood rollout status fraud-prod", ""],
        ["lastgood rollout status --watch", "live; in a pipe, a line for each change"],
        ["lastgood rollout status --json", "everything, for scripts"],
      ]),
    )
    .action(async (endpoint, options) => {
      const client = await session.client();
      if (options.watch === true) {
        await watchRollout(session, client, { endpoint: endpoint ?? null, pollMs: options.poll });
        return;
      }
      const answer = await client.rollout(endpoint ?? null);
      session.terminal.answer(answer, () => describeRollout(answer, session));
    });
}

function defineSetWeight(command: Command, session: Session): void {
  command
    .command("set-weight")
    .description("canary: give the candidate this share of the traffic, 1 to 99 percent")
    .usage("<percent> [endpoint] [options]")
    .argument("<words...>", "the percent, and the endpoint where more than one fits")
    .option("--reason <text>", "why, for the history")
    .addHelpText(
      "after",
      examples([
        ["lastgood rollout set-weight 25", ""],
        ["lastgood rollout set-weight fraud-prod 25%", "in either order"],
      ]),
    )
    .action((words, options) => {
      const { weight, endpoint } = readWeight(words);
      return steer(session, (actor) => ({
        command: "set-weight",
        endpoint,
        weight,
        reason: options.reason ?? null,
        actor,
      }));
    });
}

function definePause(command: Command, session: Session): void {
  command
    .command("pause")
    .description(
      "stop the rollout from advancing; it still protects, and goes on by itself after 24 h",
    )
    .argument("[endpoint]", ENDPOINT)
    .option("--for <time>", "go on after this long", durationValue)
    .option("--reason <text>", "why, for the history")
    .addHelpText("after", examples([["lastgood rollout pause --for 2h --reason lunch", ""]]))
    .action((endpoint, options) =>
      steer(session, (actor) => ({
        command: "pause",
        endpoint: endpoint ?? null,
        forMs: options.for ?? null,
        reason: options.reason ?? null,
        actor,
      })),
    );
}

function definePromote(command: Command, session: Session): void {
  command
    .command("promote")
    .description("the next step; in the bake: end it, the candidate is stable")
    .argument("[endpoint]", ENDPOINT)
    .option("--full", "skip the steps that are left: all traffic, then the bake")
    .option("--reason <text>", "why, for the history")
    .addHelpText("after", examples([["lastgood rollout promote --full", ""]]))
    .action((endpoint, options) =>
      steer(session, (actor) => ({
        command: "promote",
        endpoint: endpoint ?? null,
        full: options.full ?? false,
        reason: options.reason ?? null,
        actor,
      })),
    );
}

function isWeight(word: string): boolean {
  return /^\d+(\.\d+)?%?$/.test(word);
}

/** `25 fraud-prod` or `fraud-prod 25%`: what reads as a percentage is the weight. */
function readWeight(words: readonly string[]): { weight: number; endpoint: string | null } {
  const weight = words.find(isWeight);
  if (weight === undefined || words.length > 2) {
    throw new LastgoodError("usage.invalid", `"${words.join(" ")}" does not say which weight`, {
      hint: "for example: lastgood rollout set-weight 25 fraud-prod",
    });
  }
  const others = words.toSpliced(words.indexOf(weight), 1);
  return { weight: percentValue(weight), endpoint: others[0] ?? null };
}

async function steer(
  session: Session,
  commandFor: (actor: string) => RolloutCommand,
): Promise<void> {
  const client = await session.client();
  const answer = await client.steer(commandFor(await session.actor()));
  session.terminal.answer(answer, () => [
    session.terminal.style("green", `${answer.endpoint}: ${answer.done}`),
    ...(answer.rollout === null ? [] : rolloutLines(answer.rollout)),
  ]);
}
