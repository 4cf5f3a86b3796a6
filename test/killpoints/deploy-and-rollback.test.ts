/**
 * The control plane dies at every step of a deploy and of a rollback. The steps are not listed here:
 * a first server records which checkpoints each command passes.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { HistoryEntry } from "../../src/core/api/index.ts";
import {
  deployIris,
  goForward,
  irisLoad,
  modelPids,
  settled,
  settledOn,
  TESTER,
  type Agreement,
} from "../support/iris-endpoint.ts";
import type { Load } from "../support/load.ts";
import {
  isRunning,
  processesOf,
  startServer,
  until,
  type CliResult,
  type TestServer,
} from "../support/server.ts";

/** Longer than the command line repeats a call whose connection broke, and no hang. */
const COMMAND_MS = 20_000;

const STRATEGIES = ["blueGreen", "recreate"] as const;
const COMMANDS = ["rollback", "deploy"] as const;

type Strategy = (typeof STRATEGIES)[number];
type Command = (typeof COMMANDS)[number];

/** Where the control plane is to die: the nth time that it passes a checkpoint. */
interface KillPoint {
  /** Of the deploy, or of the deploy that is rolled back. */
  readonly strategy: Strategy;
  readonly command: Command;
  readonly point: string;
}

/** What is typed, and which version it goes from and to. */
function typed(
  command: Command,
  strategy: Strategy,
): { readonly args: readonly string[]; readonly from: string; readonly to: string } {
  return command === "rollback"
    ? { args: ["rollback"], from: "v1.1", to: "v1.0" }
    : {
        args: ["deploy", "iris@v1.1", "--force", "--strategy", strategy],
        from: "v1.0",
        to: "v1.1",
      };
}

const scratch = mkdtempSync(join(tmpdir(), "lastgood-killpoints-"));

/** `prepare.loaded` passed twice is `prepare.loaded#1` and `prepare.loaded#2`. */
function numbered(names: readonly string[]): readonly string[] {
  const passed = new Map<string, number>();
  return names.map((name) => {
    passed.set(name, (passed.get(name) ?? 0) + 1);
    return `${name}#${passed.get(name)}`;
  });
}

/** Runs both commands undisturbed under each strategy, and gives the checkpoints that each passes. */
async function recordKillPoints(): Promise<readonly KillPoint[]> {
  const trace = join(scratch, "trace");
  const passed = (): string[] => readFileSync(trace, "utf8").trim().split("\n");
  const server = await startServer({ env: { LASTGOOD_CRASH_TRACE: trace } });
  try {
    await deployIris(server);
    await server.client.rollback(TESTER);
    await settledOn(server, "v1.0");
    const found: KillPoint[] = [];
    for (const strategy of STRATEGIES) {
      const points: Record<Command, readonly string[]> = { deploy: [], rollback: [] };
      for (const command of ["deploy", "rollback"] as const) {
        const before = passed().length;
        const { args, to } = typed(command, strategy);
        await server.json(args);
        await settledOn(server, to);
        points[command] = numbered(passed().slice(before));
      }
      const length = Math.max(points.deploy.length, points.rollback.length);
      // In turn, so that each command finds what the one before it left.
      for (let index = 0; index < length; index += 1)
        for (const command of COMMANDS) {
          const point = points[command][index];
          if (point !== undefined) found.push({ strategy, command, point });
        }
    }
    return found;
  } finally {
    await server.destroy();
  }
}

const killPoints = await recordKillPoints();

let server: TestServer;
let load: Load;

beforeAll(async () => {
  server = await startServer();
  await deployIris(server);
  load = irisLoad(server, 8, 20);
});

afterAll(async () => {
  await server.destroy();
  rmSync(scratch, { recursive: true, force: true });
});

/** A new control plane that dies at the point, once. Gateway and model processes go on. */
async function startAgainWith({ strategy, command, point }: KillPoint): Promise<string> {
  const flag = join(scratch, `${strategy} ${command} ${point}`);
  const pids = [server.pid, ...server.pids.control];
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("supervisor and control plane are gone", () => !pids.some(isRunning));
  await server.start({ env: { LASTGOOD_CRASH_AT: point, LASTGOOD_CRASH_FLAG: flag } });
  return flag;
}

/** The version that carries all traffic after everything that the history tells. */
function servingByHistory(history: readonly HistoryEntry[]): string | null {
  let serving: string | null = null;
  for (const { kind, data } of history) {
    if (kind !== "rollout.baking" && kind !== "rollback.completed") continue;
    const to = data["to"];
    if (typeof to === "object" && to !== null && "version" in to) serving = String(to.version);
  }
  return serving;
}

/** Whether the command's answer is one that a person or a program can go on with. */
function isClearAnswer({ code, stdout }: CliResult): boolean {
  const answer = JSON.parse(stdout) as { readonly error?: { code?: unknown; message?: unknown } };
  if (code === 0) return answer.error === undefined;
  return typeof answer.error?.code === "string" && String(answer.error.message).length > 10;
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

function kindsIn(history: readonly HistoryEntry[], kind: string): number {
  return history.filter((entry) => entry.kind === kind).length;
}

test("each command passes checkpoints: around each thing that is stored, and between the steps of a switch", () => {
  for (const strategy of STRATEGIES) {
    const points = (command: Command): string[] =>
      killPoints
        .filter((each) => each.strategy === strategy && each.command === command)
        .map((each) => each.point);
    expect(points("deploy")).toEqual(
      expect.arrayContaining(["deploy.decided#1", "deploy.stored#1", "switched.stored#1"]),
    );
    expect(points("rollback")).toEqual(
      expect.arrayContaining(["rollback.decided#1", "switch.published#1", "switched.stored#1"]),
    );
  }
});

/** Brings the endpoint to where the command begins, whatever the test before left. */
async function begin({ strategy, command }: KillPoint): Promise<Agreement> {
  if (!isRunning(server.pid)) await server.start();
  const { from } = typed(command, strategy);
  const found = await settled(server);
  if (found.view.current?.version === from) return found;
  if (from === "v1.1") await goForward(server, strategy);
  else await server.client.rollback({ ...TESTER, again: true });
  return settledOn(server, from);
}

test.each(killPoints)(
  "$command of a $strategy rollout: the control plane dies at $point, and all is well",
  async (killPoint) => {
    const { command, strategy } = killPoint;
    const { args, from, to } = typed(command, strategy);
    const before = await begin(killPoint);
    const flag = await startAgainWith(killPoint);
    const [control] = server.pids.control;

    const result = await server.cli([...args, "--json"], {}, undefined, COMMAND_MS);
    expect(result, "the command ended by itself").not.toMatchObject({ code: null });
    expect(result).toSatisfy(isClearAnswer);
    expect(exists(flag), "the control plane died at the point").toBe(true);

    const after = await settled(server);
    expect(server.pids.control).toHaveLength(1);
    expect(server.pids.control).not.toContain(control);
    expect(server.pids.gateway).toHaveLength(1);
    const serving = after.view.current?.version;
    expect(result.code === 0 ? [to] : [from, to]).toContain(serving);
    expect(servingByHistory(after.history)).toBe(serving);
    expect(after.history.slice(0, before.history.length)).toEqual(before.history);

    const again = await server.cli([...args, "--json"], {}, undefined, COMMAND_MS);
    expect(again, "the same command again").toMatchObject({ code: 0 });
    const last = await settledOn(server, to);
    const added = last.history.slice(before.history.length);
    const done = command === "rollback" ? "rollback.completed" : "rollout.baking";
    expect(kindsIn(added, done)).toBe(1);
    await until("only what the route names is loaded", async () => {
      const loaded = new Set((await modelPids(server)).values());
      return server.pids.models.every((pid) => loaded.has(pid));
    });
    expect(load.failures).toEqual([]);
  },
);

test("after all of it nothing is left behind", async () => {
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.answers.length).toBeGreaterThan(1_000);
  expect(await server.terminate()).toBe(0);
  expect(processesOf(server.dataDir)).toEqual([]);
  for (const port of [server.ports.api, server.ports.serve]) {
    const probe = createServer();
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      probe.listen({ host: "127.0.0.1", port, exclusive: true }, () =>
        probe.close(() => resolve()),
      );
    });
  }
});
