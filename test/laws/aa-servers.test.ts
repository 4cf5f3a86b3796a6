/**
 * The A/A gate for servers of their own: two that do the same work, one request after the other, and are half
 * busy. The one with most of the traffic answers later, and is not worse for that. `AA_SERVER_RUNS` says how often.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { RolloutView } from "../../src/core/api/index.ts";
import { DoublingRemote } from "../support/canary.ts";
import { Load, oipBody } from "../support/load.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { stage, type Stage } from "../support/stage.ts";
import { quickAnalysis, runsFrom } from "../support/under-traffic.ts";

const RUNS = runsFrom("AA_SERVER_RUNS", 4);
const WORK_MS = 4;
const LONGEST_MS = 30_000;

const STRATEGIES = {
  canary: {
    canary: {
      steps: [
        { weight: "10%", until: { requests: 10, time: "2s" } },
        { weight: "50%", until: { requests: 60, time: "2s" } },
      ],
    },
    bake: "6s",
  },
  copies: { blueGreen: {}, bake: "8s", holdback: "50%" },
} as const;

const folder = mkdtempSync(join(tmpdir(), "lastgood-aa-servers-"));
const remotes: DoublingRemote[] = [];
const loads: Load[] = [];
let server: TestServer;

beforeAll(async () => {
  const settings: Record<string, unknown> = {};
  for (const name of Object.keys(STRATEGIES))
    for (const which of ["one", "other"]) {
      const remote = await DoublingRemote.start();
      remote.workMs = WORK_MS;
      remotes.push(remote);
      settings[`${name}-${which}`] = remote.settings(true);
    }
  const config = join(folder, "server.yaml");
  // Every JSON is YAML.
  writeFileSync(config, JSON.stringify({ remotes: settings }));
  server = await startServer({ args: ["--config", config] });
});

afterAll(async () => {
  await Promise.all(loads.map((load) => load.stop()));
  await server.destroy();
  for (const each of remotes) await each.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(name: keyof typeof STRATEGIES): Promise<Stage> {
  const on = stage(server, name);
  const rollout = STRATEGIES[name];
  await register(name, 0);
  await server.client.applyPolicy(name, {
    actor: "tester",
    policy: {
      model: name,
      rollout,
      analysis: quickAnalysis(),
      rollback: { cooldown: "0s", atMost: "1000 per 1h" },
    },
  });
  await on.deploy("v1.0");
  const bodies = Array.from({ length: 50 }, (_, x) => oipBody([x], "x"));
  loads.push(new Load({ url: on.url, bodies, concurrency: 8, pauseMs: 50 }));
  // What stable does alone tells where slow begins: an interval of 10 s.
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  return on;
}

/** Versions are served by the two servers in turn. */
async function register(name: string, number: number): Promise<void> {
  await server.client.register(name, {
    name: `v1.${number}`,
    runtime: "remote",
    remote: `${name}-${number % 2 === 0 ? "one" : "other"}`,
    inputExample: { inputs: { x: [[1], [2]] } },
    actor: "tester",
  });
}

/** The end of a rollout, or null where it is still held. */
async function rollOut(on: Stage, number: number): Promise<RolloutView | null> {
  await register(on.name, number);
  const { rollout } = await on.deploy(`v1.${number}`, { bakeMs: null, replace: true });
  const ended = async (): Promise<RolloutView | null> => {
    const { lastRollout } = await on.view();
    return lastRollout?.id === rollout?.id ? lastRollout : null;
  };
  return until("the rollout ends", ended, LONGEST_MS).catch(() => null);
}

test.concurrent.each(["canary", "copies"] as const)(
  `%s: ${RUNS} rollouts between two servers that do the same: none goes back`,
  async (name) => {
    const on = await start(name);
    const ends: (RolloutView | null)[] = [];
    for (let number = 1; number <= RUNS; number += 1) ends.push(await rollOut(on, number));
    const back = ends.filter((end) => end !== null && end.phase !== "Succeeded");
    expect(back.map((end) => `${end?.phase}: ${end?.reason}`)).toEqual([]);
    // The gate would hold as well if nothing ever came to an end.
    expect(ends.filter((end) => end !== null).length).toBeGreaterThanOrEqual(0.7 * RUNS);
  },
  120_000 + RUNS * LONGEST_MS,
);
