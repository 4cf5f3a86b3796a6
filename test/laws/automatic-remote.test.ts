/** Versions that are served elsewhere: one that breaks late goes back, an outage of both is no verdict. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { DoublingRemote } from "../support/canary.ts";
import { Load, oipBody } from "../support/load.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { stage, type Stage } from "../support/stage.ts";
import { quickCanary } from "../support/under-traffic.ts";

/** Two versions on two ports, and callers. */
interface Pair {
  readonly on: Stage;
  readonly old: DoublingRemote;
  readonly young: DoublingRemote;
  readonly load: Load;
}

const NAMES = ["late", "outage", "switched", "away", "once", "twice"] as const;
const folder = mkdtempSync(join(tmpdir(), "lastgood-remotes-"));
const remotes = new Map<string, DoublingRemote>();
const loads: Load[] = [];
let server: TestServer;

beforeAll(async () => {
  for (const name of NAMES.flatMap((each) => [`${each}-old`, `${each}-young`]))
    remotes.set(name, await DoublingRemote.start());
  const config = join(folder, "server.yaml");
  const settings = [...remotes].map(
    ([name, each]) => [name, each.settings(!name.startsWith("once"))] as const,
  );
  // Every JSON is YAML.
  writeFileSync(config, JSON.stringify({ remotes: Object.fromEntries(settings) }));
  server = await startServer({ args: ["--config", config] });
});

afterAll(async () => {
  await Promise.all(loads.map((load) => load.stop()));
  await server.destroy();
  for (const each of remotes.values()) await each.stop();
  rmSync(folder, { recursive: true, force: true });
});

function remoteOf(name: string): DoublingRemote {
  const found = remotes.get(name);
  if (found === undefined) throw new Error(`there is no remote ${name}`);
  return found;
}

/** v1.0 is stable and serves; v1.1 is registered. */
async function start(
  name: (typeof NAMES)[number],
  bake: string,
  policy: Readonly<Record<string, unknown>> = quickCanary({ rollout: { bake } }),
): Promise<Pair> {
  const on = stage(server, name);
  for (const [version, which] of [
    ["v1.0", "old"],
    ["v1.1", "young"],
  ] as const)
    await server.client.register(name, {
      name: version,
      runtime: "remote",
      remote: `${name}-${which}`,
      inputExample: { inputs: { x: [[1], [2]] } },
      actor: "tester",
    });
  await server.client.applyPolicy(name, { actor: "tester", policy: { model: name, ...policy } });
  await on.deploy("v1.0");
  const load = new Load({
    url: on.url,
    bodies: Array.from({ length: 50 }, (_, x) => oipBody([x], "x")),
    concurrency: 6,
    pauseMs: 15,
  });
  loads.push(load);
  return { on, load, old: remoteOf(`${name}-old`), young: remoteOf(`${name}-young`) };
}

/** Waits until it carries all traffic, verified, and its bake is under way. */
async function bakes(on: Stage): Promise<void> {
  const begun = async (): Promise<boolean> => {
    const { rollout } = await on.view();
    return rollout?.phase === "Baking" && rollout.bakeEndsAt !== null;
  };
  await until("its bake", begun, 60_000);
}

async function ended(on: Stage, id: string): Promise<string> {
  const { phase, reason } = await until(
    "the rollout ends",
    async () => {
      const { lastRollout } = await on.view();
      return lastRollout?.id === id && lastRollout;
    },
    90_000,
  );
  return `${phase}: ${reason}`;
}

test.concurrent("a version that breaks after the switch, in its bake, is sent back by what the holdback shows", async () => {
  const { on, young, load } = await start("late", "60s");
  const { rollout } = await on.deploy("v1.1", { bakeMs: null });
  await bakes(on);
  // Many good answers before: they must not outweigh what is bad now.
  const before = load.answers.length;
  await until("many good answers", () => load.answers.length > before + 500, 60_000);
  young.fails = "error";
  expect(await ended(on, rollout?.id ?? "")).toMatch(/^RolledBack: errorRate: /);
  const view = await on.view();
  expect(view).toMatchObject({ current: { version: "v1.0" }, split: [{ weight: 100 }] });
  expect(view.revisions.find(({ version }) => version === "v1.1")?.status).toBe("failed");
  expect(load.failures).toEqual([]);
}, 180_000);

test.concurrent("an outage of both is held and told, never rolled back, and the rollout goes on after it", async () => {
  const { on, old, young, load } = await start("outage", "8s");
  const { rollout } = await on.deploy("v1.1", { bakeMs: null });
  await bakes(on);
  old.fails = "error";
  young.fails = "error";
  const since = load.answers.length;
  await until(
    "it is held as an outage",
    async () => (await on.view()).rollout?.held?.why.startsWith("an outage: "),
    60_000,
  );
  // Past the planned end of the bake.
  const endsAt = (await on.view()).rollout?.bakeEndsAt ?? 0;
  await until("the bake would be over", () => Date.now() > endsAt + 2_000, 60_000);
  expect(load.answers.slice(since).some(({ status }) => status === 500)).toBe(true);
  expect((await on.view()).rollout).toMatchObject({ phase: "Baking" });
  old.fails = null;
  young.fails = null;
  expect(await ended(on, rollout?.id ?? "")).toMatch(/^Succeeded/);
  const { entries } = await server.client.history("outage");
  const kinds = entries.map(({ kind }) => kind);
  expect(kinds).toContain("rollout.released");
  expect(kinds.filter((kind) => kind.startsWith("rollback."))).toEqual([]);
  expect((await on.view()).current?.version).toBe("v1.1");
}, 180_000);

test.concurrent("an outage in which both are out of reach is held in a bake that compares in pairs, and it goes on after it", async () => {
  const { rollout: _, ...quick } = quickCanary();
  const paired = { ...quick, rollout: { blueGreen: {}, bake: "8s", holdback: "50%" } };
  const { on, old, young } = await start("away", "8s", paired);
  const { rollout } = await on.deploy("v1.1", { bakeMs: null });
  await bakes(on);
  const back = await Promise.all([old.goAway(), young.goAway()]);
  await until(
    "it is held as an outage",
    async () => (await on.view()).rollout?.held?.why.startsWith("an outage: "),
    60_000,
  );
  const endsAt = (await on.view()).rollout?.bakeEndsAt ?? 0;
  await until("the bake would be over", () => Date.now() > endsAt + 1_000, 60_000);
  expect((await on.view()).rollout).toMatchObject({ phase: "Baking", to: { version: "v1.1" } });
  await Promise.all(back.map((returns) => returns()));
  expect(await ended(on, rollout?.id ?? "")).toMatch(/^Succeeded/);
  const { entries } = await server.client.history("away");
  expect(entries.filter(({ kind }) => kind.startsWith("rollback."))).toEqual([]);
}, 180_000);

test.concurrent("where stable may not be given copies, a bake is compared with what stable did before", async () => {
  const { rollout: _, ...quick } = quickCanary();
  const watched = { ...quick, rollout: { blueGreen: {}, bake: "60s", holdback: "50%" } };
  const comparisonAt = async (name: "once" | "twice"): Promise<unknown> => {
    const { on } = await start(name, "60s", watched);
    const { rollout } = await on.deploy("v1.1", { bakeMs: null });
    await bakes(on);
    const planned = async (): Promise<unknown> => {
      const { plan } = await server.client.evidence(rollout?.id ?? "");
      return plan["comparison"];
    };
    return until("its plan", planned, 60_000);
  };
  expect(await comparisonAt("once")).toBe("absolute");
  expect(await comparisonAt("twice")).toBe("paired");
}, 180_000);

test.concurrent("an outage of both while the switch to all traffic is verified is held, and the rollout goes on after it", async () => {
  const { on, old, young } = await start("switched", "3s");
  const { rollout } = await on.deploy("v1.1", { bakeMs: null, strategy: "canary", weight: 50 });
  old.fails = "error";
  young.fails = "error";
  const refusal = await on.refused(5, "rollout", "promote", "switched", "--full");
  expect(refusal.code).toBe("wait.undecided");
  const view = await on.view();
  expect(view.rollout).toMatchObject({ phase: "Baking", bakeEndsAt: null });
  expect(view.rollout?.held?.why).toMatch(/^an outage: v1\.1 could not be verified/);
  expect(view.alarms.join()).toContain("the rollout is held: an outage");
  old.fails = null;
  young.fails = null;
  expect(await ended(on, rollout?.id ?? "")).toMatch(/^Succeeded/);
  const { entries } = await server.client.history("switched");
  expect(entries.filter(({ kind }) => kind.startsWith("rollback."))).toEqual([]);
  expect((await on.view()).current?.version).toBe("v1.1");
}, 180_000);
