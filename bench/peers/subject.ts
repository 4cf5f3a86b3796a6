import { spawn } from "node:child_process";

import { freePort } from "../../test/support/server.ts";
import { ask, irisBodies } from "../servers.ts";
import { MEASURED_CORE, startedOn } from "./core.ts";
import { endTree } from "./process-tree.ts";

const START_MS = 120_000;
const OUTPUT_KEPT = 4_000;

/** A server that runs. */
export interface Running {
  /** Where it answers the subject's bodies. */
  readonly url: string;
  /** They and all that descends from them are what is measured. */
  readonly roots: readonly number[];
  stop(): Promise<void>;
}

/** Something that answers requests. */
export interface Subject {
  readonly name: string;
  readonly bodies: readonly string[];
  /** Starts it; it may not be ready yet. */
  start(): Promise<Running>;
  /** Called once it has answered. */
  readonly onReady?: (running: Running) => void;
  /** Removes what was made for it. */
  readonly remove?: () => Promise<void>;
}

/** A subject, or what is missing for it. */
export type Found = Subject | { readonly name: string; readonly missing: string };

/** A program that listens on a port it is given; `more` are two others, for those that need them. */
export interface Program {
  readonly command: string;
  readonly args: (port: number) => readonly string[];
  readonly path: string;
  /** @default the measured one */
  readonly core?: number;
  readonly cwd?: string;
  readonly env?: (port: number, more: readonly number[]) => Readonly<Record<string, string>>;
}

/** Starts a program on the measured core. It finds its port in $PORT too. */
export async function startProgram(program: Program): Promise<Running> {
  const { command, args, path, cwd, env, core = MEASURED_CORE } = program;
  const port = await freePort();
  const more = [await freePort(), await freePort()];
  const child = startedOn(core, () =>
    spawn(command, args(port), {
      cwd,
      env: { ...process.env, ...env?.(port, more), PORT: String(port) },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    }),
  );
  let output = "";
  let ended = false;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.once("error", (error) => (output += error.message));
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => {
      ended = true;
      resolve();
    });
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} cannot be started`);
  return {
    get url(): string {
      if (ended) throw new Ended(output.trim().split("\n").at(-1) ?? "");
      return `http://127.0.0.1:${port}${path}`;
    },
    roots: [pid],
    stop: async () => {
      endTree(pid);
      await exited;
    },
  };
}

/** A program has ended where it was to answer. */
class Ended extends Error {}

/** Waits until it answers the first body; gives how long that took since `startedAt`, ms. */
export async function firstAnswer(
  { bodies, onReady }: Subject,
  running: Running,
  startedAt: number,
): Promise<number> {
  const endsAt = startedAt + START_MS;
  for (;;) {
    try {
      await ask(running.url, bodies[0] ?? null);
      const ms = performance.now() - startedAt;
      onReady?.(running);
      return ms;
    } catch (error) {
      if (error instanceof Ended || performance.now() > endsAt) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The held-out rows of iris as MLflow scoring requests, one row each. */
export function scoringBodies(): readonly string[] {
  return irisBodies().map((body) => {
    const { inputs } = JSON.parse(body) as { inputs: { data: number[] }[] };
    return JSON.stringify({ inputs: [inputs[0]?.data ?? []] });
  });
}
