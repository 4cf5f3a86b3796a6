import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";

import type { LastgoodClient } from "../../client/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { Callers, summarise } from "./callers.ts";
import { Labels } from "./labels.ts";
import type { DemoModel } from "./model-folder.ts";
import { LiveLine, sightLine, type DemoTerminal } from "./screen.ts";

/** What the story is told with. */
export interface StoryOptions {
  readonly terminal: DemoTerminal;
  readonly model: DemoModel;
  /** Name of the broken version among the model's, such as `v2.0-scaled`. */
  readonly broken: string;
  readonly serveUrl: string;
  readonly client: LastgoodClient;
  /** Runs the command line as a user would: program and arguments before the verb. */
  readonly program: readonly [string, ...string[]];
  /** For the commands: where the server is. */
  readonly env: NodeJS.ProcessEnv;
  /** As people type it. */
  readonly programName: string;
  readonly perSecond: number;
}

/** What callers saw over the whole story. */
export interface StoryResult {
  readonly requests: number;
  readonly failed: number;
  /** Answers of the broken version to requests sent after the rollback had been reported. */
  readonly late: number;
}

/** How a command ended. */
interface CommandResult {
  readonly output: string;
  readonly code: number | null;
}

const SPAN_MS = 1_000;
const REDRAW_MS = 100;

function quoted(word: string): string {
  return /^[\w./@:=-]+$/.test(word) ? word : `"${word}"`;
}

/** Tells the story of an update that fails and is taken back, on a real server with real requests. */
class Story {
  readonly #options: StoryOptions;
  readonly #live: LiveLine;

  constructor(options: StoryOptions) {
    this.#options = options;
    this.#live = new LiveLine(options.terminal);
  }

  async tell(): Promise<StoryResult> {
    const { model, terminal, serveUrl, perSecond } = this.#options;
    const endpoint = `${model.name}-prod`;
    this.#chapter("A model goes into production.");
    await this.#register("v1.0", "v1.0");
    await this.#run(["deploy", `${model.name}@v1.0`, "--to", endpoint]);
    this.#chapter(`Callers send held-out rows, ${perSecond} a second. Every answer is checked.`);
    const callers = new Callers({
      url: `${serveUrl}/v2/models/${endpoint}/infer`,
      rows: model.rows,
      perSecond,
    });
    await this.#watch(callers, 3);
    this.#chapter(
      "A better version follows, under a policy: a canary that takes its steps by itself, then a bake.",
    );
    await this.#register("v1.1", "v1.1");
    await this.#run(["apply", "-f", model.policy]);
    const labels = new Labels(this.#options.client, callers);
    await this.#whileWatching(callers, ["deploy", `${model.name}@v1.1`, "--wait"], 0);
    this.#chapter(
      "And then an update that looked best of all. Nobody touches anything from here on.",
    );
    await this.#register("v2.0", this.#options.broken);
    await this.#whileWatching(callers, ["deploy", `${model.name}@v2.0`, "--wait"], 3);
    const reportedMs = callers.elapsedMs;
    const why = model.versions.get(this.#options.broken)?.broken ?? "it is broken";
    this.#chapter(
      `What was wrong: ${why}. The evidence found it, and the last good version is back.`,
    );
    await this.#watch(callers, 3);
    await labels.stop();
    await callers.stop();
    const [newest] = (await this.#options.client.incidents(endpoint)).incidents;
    if (newest !== undefined) await this.#run(["incident", newest.id.slice(0, 8)]);
    await this.#run(["history", endpoint]);
    const whole = summarise(callers.seen, 0);
    const late = callers.seen.filter(
      (one) => one.version === "v2.0" && one.sentMs > reportedMs,
    ).length;
    terminal.print(
      "",
      terminal.style("bold", "What callers saw, start to end"),
      `  ${whole.requests} requests, ${whole.errors} answered with an error or not at all, ${late} by v2.0 after the rollback was reported`,
      `  v2.0 is kept, marked failed, and will not be deployed again without --force`,
    );
    return { requests: whole.requests, failed: whole.errors, late };
  }

  #chapter(text: string): void {
    const { terminal } = this.#options;
    terminal.print("", terminal.style("bold", text));
  }

  /** Registers a file of the example folder with what its author claims of it. */
  #register(name: string, version: string): Promise<void> {
    const { model } = this.#options;
    const known = model.versions.get(version);
    if (known === undefined)
      throw new LastgoodError("usage.invalid", `${model.name} has no example ${version}`, {
        hint: `there are: ${[...model.versions.keys()].join(", ")}`,
      });
    const metrics = Object.entries(known.metrics).flatMap(([key, value]) => [
      "--metric",
      `${key}=${value}`,
    ]);
    return this.#run([
      "register",
      model.name,
      known.path,
      "--version",
      name,
      ...metrics,
      "--input-example",
      model.example,
    ]);
  }

  /** Types a command, with its own output below it. @throws `internal` when it fails. */
  async #run(argv: readonly string[]): Promise<void> {
    const { shown, done } = this.#type(argv);
    this.#result(shown, await done, 0);
  }

  /** Types a command that takes its time, and shows what callers see until it ends with `code`. */
  async #whileWatching(callers: Callers, argv: readonly string[], code: number): Promise<void> {
    const { shown, done } = this.#type(argv);
    let result: CommandResult | null = null;
    void done.then(
      (how) => (result = how),
      () => (result = { output: "", code: null }),
    );
    const isOver = (): boolean => result !== null;
    while (!isOver()) await this.#watch(callers, 1, isOver);
    this.#result(shown, await done, code);
  }

  #type(argv: readonly string[]): {
    readonly shown: string;
    readonly done: Promise<CommandResult>;
  } {
    const { program, env, programName, terminal } = this.#options;
    const shown = [programName, ...argv].map((word) => quoted(shorter(word))).join(" ");
    terminal.print(`${terminal.style("dim", "$")} ${terminal.style("cyan", shown)}`);
    const [command, ...first] = program;
    const done = new Promise<CommandResult>((resolve, reject) => {
      const child = spawn(command, [...first, ...argv], {
        env: { ...env, ...(terminal.isTerminal ? { FORCE_COLOR: "1" } : {}) },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
      child.once("error", reject);
      child.once("close", (code) => resolve({ output, code }));
    });
    return { shown, done };
  }

  #result(shown: string, { output, code }: CommandResult, expected: number): void {
    const { terminal } = this.#options;
    const lines = output.trimEnd().split("\n");
    if (expected !== 0) lines.push(terminal.style("dim", `exit code ${code}`));
    terminal.print(...lines.map((line) => `  ${line}`));
    if (code !== expected)
      throw new LastgoodError("internal", `${shown} ended with exit code ${code}`);
  }

  /** Shows what callers see for some seconds, a line a second. */
  async #watch(
    callers: Callers,
    seconds: number,
    isOver: () => boolean = () => false,
  ): Promise<void> {
    const { terminal } = this.#options;
    for (let second = 0; second < seconds; second += 1) {
      const startedMs = callers.elapsedMs;
      for (;;) {
        const atMs = callers.elapsedMs;
        const sight = summarise(callers.seen, atMs - SPAN_MS);
        const line = sightLine(terminal, atMs, sight, Math.min(SPAN_MS, atMs));
        if (atMs - startedMs >= SPAN_MS) {
          this.#live.keep(line);
          break;
        }
        this.#live.show(line);
        if (isOver()) return;
        await pause(REDRAW_MS);
      }
    }
  }
}

/** Paths as somebody in the checkout would type them. */
function shorter(word: string): string {
  const examples = word.lastIndexOf("/examples/");
  return examples < 0 ? word : word.slice(examples + 1);
}

/**
 * Tells the story and gives what callers saw.
 * @throws `internal` when one of its commands fails.
 */
export function tellStory(options: StoryOptions): Promise<StoryResult> {
  return new Story(options).tell();
}
