/** The laws where a version is a Python server that somebody has to keep alive. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Doctor } from "../../src/core/api/index.ts";
import { Load, oipBody } from "../support/load.ts";
import { Managed, managedServers } from "../support/managed.ts";
import { isRunning, startServer, until, type TestServer } from "../support/server.ts";
import { quickCanary } from "../support/under-traffic.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-managed-"));
const started: Managed[] = [];
let server: TestServer;
let args: readonly string[];

beforeAll(async () => {
  args = managedServers(folder);
  server = await startServer({ args });
});

afterAll(async () => {
  await Promise.all(started.map(({ load }) => load.stop()));
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

async function endpoint(
  ...given: Parameters<typeof Managed.start> extends [unknown, ...infer R] ? R : never
): Promise<Managed> {
  const on = await Managed.start(server, ...given);
  started.push(on);
  return on;
}

/** v1.0 serves alone, the other one is failed, and nobody who called noticed anything. */
async function isBack(on: Managed): Promise<void> {
  const view = await on.view();
  expect(view).toMatchObject({ current: { version: "v1.0" }, split: [{ weight: 100 }] });
  expect(view.revisions.find(({ version }) => version === "v1.1")?.status).toBe("failed");
  await on.goesOn(20);
  expect(on.load.failures).toEqual([]);
  await on.load.stop();
}

/** How a candidate goes wrong, its launcher, and what sends it back. */
const candidates = [
  {
    what: "answers with errors",
    behaviour: "error",
    launcher: "fixture",
    by: /errorRate|errors? in a row|failed/,
  },
  {
    what: "answers 200 with rubbish",
    behaviour: "rubbish",
    launcher: "fixture",
    by: /errorRate|invalid|failed/,
  },
  {
    what: "leaks until it is killed",
    behaviour: "leak",
    launcher: "small",
    by: /crash|errorRate|latency|died|did not answer/,
  },
  {
    what: "hangs",
    behaviour: "hang",
    launcher: "watched",
    by: /crash|errorRate|latency|died|did not answer/,
  },
  {
    what: "exits",
    behaviour: "exit",
    launcher: "fixture",
    by: /crash|errorRate|died|did not answer/,
  },
] as const;

// A probe of a change of the split may be the request that it does not answer.
test.each(candidates)(
  "a candidate that $what goes back by itself, and no request fails",
  async ({ behaviour, launcher, by }) => {
    const on = await endpoint(behaviour, { policy: quickCanary() });
    await on.registerServer("v1.1", { behaviour, after: 25 }, launcher);
    const ended = await on.rollsOut("v1.1");
    expect(ended).toMatch(/^RolledBack: /);
    expect(ended).toMatch(by);
    await isBack(on);
  },
  150_000,
);

/** Nothing ran before and nothing runs beside it: a candidate that has all traffic, and callers who come then. */
async function alone(
  name: string,
  { behaviour, launcher }: { readonly behaviour: string; readonly launcher: string },
): Promise<{ readonly on: Managed; readonly load: Load }> {
  const policy = { rollout: { blueGreen: {}, bake: "60s" } };
  const on = await endpoint(name, { policy, launcher: "once" });
  await on.load.stop();
  await on.registerServer("v1.1", { behaviour, after: launcher === "once" ? 0 : 25 }, launcher);
  await on.deploy("v1.1", { bakeMs: null });
  const load = new Load({ url: on.url, bodies: [oipBody([1], "x")], concurrency: 2, pauseMs: 15 });
  return { on, load };
}

test.each([
  {
    what: "answers 200 with rubbish",
    candidate: { behaviour: "rubbish", launcher: "once" },
    by: /consecutive invalid answers: .*it is no|not JSON/,
  },
  {
    what: "fails what stable answers instead",
    candidate: { behaviour: "error", launcher: "fixture" },
    by: /errorRate: .*stable answers what it fails/,
  },
])(
  "one that $what goes back where nothing can be compared",
  async ({ what, candidate, by }) => {
    const { on, load } = await alone(what.replaceAll(" ", "-"), candidate);
    const { lastRollout } = await until("it goes back", async () => {
      const view = await on.view();
      return view.lastRollout?.phase === "RolledBack" ? view : null;
    });
    await load.stop();
    expect(lastRollout?.reason).toMatch(by);
  },
  150_000,
);

test("one that fails all that nobody may be asked again never becomes stable: a person is told", async () => {
  const { on, load } = await alone("nobody-knows", { behaviour: "error", launcher: "once" });
  const held = await until("it is held", async () => {
    const { rollout } = await on.view();
    return rollout?.held?.why.includes("nobody knows whether stable would do better") === true
      ? rollout.held
      : null;
  });
  await load.stop();
  expect(held.why).toMatch(/^errorRate: 100 % errors, (stable 0 %, )?at most 10 % allowed/);
}, 150_000);

test("what a candidate prints is evidence: one that complains goes back", async () => {
  const logs = { kind: "logs", source: "models" };
  const on = await endpoint("complains", {
    policy: quickCanary({ analysis: { metrics: { complaints: logs } } }),
  });
  await on.registerServer("v1.1", { behaviour: "complain", after: 4 });
  expect(await on.rollsOut("v1.1")).toMatch(/^RolledBack: complaints: /);
  await isBack(on);
}, 150_000);

test("a candidate that never gets ready is refused, and what served still serves", async () => {
  const when = join(folder, "broken");
  const on = await endpoint("never-ready", { policy: quickCanary() });
  await on.registerServer("v1.1", { behaviour: "never-ready", when }, "patient");
  writeFileSync(when, "");
  await expect(on.deploy("v1.1", { bakeMs: null })).rejects.toThrow(/not ready within 2000 ms/);
  const view = await on.view();
  expect(view.current?.version).toBe("v1.0");
  expect(view.revisions.find(({ version }) => version === "v1.1")?.status).toBe("rejected");
  await until("nothing of it is left", async () => (await on.loaded()).length === 1);
  expect(on.load.failures).toEqual([]);
  await on.load.stop();
}, 90_000);

test("a good candidate goes all the way, a rollback by hand is a switch, and no request fails", async () => {
  const on = await endpoint("good", { policy: quickCanary() });
  await on.registerServer("v1.1", { factor: 2 });
  expect(await on.rollsOut("v1.1")).toMatch(/^Succeeded/);
  const back = await on.tell<{
    verified: boolean;
    warm: boolean;
    failedRequests: number;
    to: unknown;
  }>("rollback", on.name, "--reason", "by hand");
  expect(back).toMatchObject({
    code: 0,
    value: { to: { version: "v1.0" }, verified: true, warm: true, failedRequests: 0 },
  });
  const [newest] = (await server.client.incidents(on.name)).incidents;
  const { logLines } = await server.client.incident(newest?.id ?? "");
  expect(logLines.join("\n"), "what its server wrote last is kept").toContain("INFO answered");
  await on.goesOn(20);
  expect(on.load.failures).toEqual([]);
  await on.load.stop();
}, 120_000);

test("kill -9 of the server under load, twice: no request fails, nothing is judged, its children go too", async () => {
  const on = await endpoint("killed", { settings: { behaviour: "fork" } });
  for (let round = 0; round < 2; round += 1) {
    const victim = await on.pidOf(1);
    const children = server.managed.length;
    process.kill(victim, "SIGKILL");
    await until("the replacement is up", async () => (await on.pidOf(1)) !== victim);
    expect(isRunning(victim)).toBe(false);
    expect(server.managed.length).toBeLessThanOrEqual(children);
    await on.goesOn();
  }
  expect(on.load.failures).toEqual([]);
  expect((await on.view()).alarms).toEqual([]);
  await on.load.stop();
}, 90_000);

test("where a request may not be asked twice, only those in the killed server fail", async () => {
  const on = await endpoint("once", { launcher: "once" });
  await on.goesOn(50);
  process.kill(await on.pidOf(1), "SIGKILL");
  await on.goesOn();
  const { failures } = on.load;
  expect(failures.length).toBeLessThanOrEqual(4);
  for (const failure of failures)
    expect(failure).toMatch(/^500 .*lost with this request in flight/);
  await on.load.stop();
}, 60_000);

test("kill -9 of the gateway: the next one adopts the servers", async () => {
  const on = await endpoint("adopted");
  const pid = await on.pidOf(1);
  const [gateway] = server.pids.gateway;
  process.kill(gateway ?? 0, "SIGKILL");
  await until("another gateway serves", async () => {
    const [next] = server.pids.gateway;
    return next !== undefined && next !== gateway && (await on.pidOf(1)) === pid;
  });
  expect(
    await on.score('{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[21]}]}'),
  ).toMatchObject({ status: 200, version: "v1.0" });
  await on.load.stop();
}, 60_000);

test("kill -9 of the supervisor: servers are adopted, no request fails; SIGTERM leaves nothing, whatever ignores it", async () => {
  const on = await endpoint("ended", { settings: { behaviour: "fork" } });
  const stubborn = await endpoint("stubborn", { settings: { behaviour: "ignore-term" } });
  const pid = await on.pidOf(1);
  const supervisor = server.pid;
  process.kill(supervisor, "SIGKILL");
  await until("the supervisor is gone", () => !isRunning(supervisor));
  await server.start({ args });
  expect(await on.pidOf(1)).toBe(pid);
  await on.goesOn(50);
  await Promise.all(started.map(({ load }) => load.stop()));
  expect(on.load.failures).toEqual([]);
  expect(await stubborn.pidOf(1)).toBeGreaterThan(0);
  expect(await server.terminate()).toBe(0);
  expect(server.processes).toEqual([]);
  expect(server.managed).toEqual([]);
}, 120_000);

test("a server that was not started to run code runs none, and says so; with leave it goes on where it was", async () => {
  const [withConfig, leave] = [args.slice(0, 2), args.slice(2)];
  const other = await startServer({ args: [...withConfig, ...leave] });
  try {
    const on = await Managed.start(other, "trusted");
    await on.load.stop();
    await other.terminate();
    await other.start({ args: withConfig, unready: true });
    const refusal = await until("it says so", async () => {
      const { alarms } = await on.view();
      return alarms.find((each) => each.includes("not started to run any"));
    });
    expect(refusal).toContain("launcher fixture");
    const { code, value } = await on.tell<Doctor>("doctor");
    expect(code).toBe(1);
    expect(value.checks.filter(({ level }) => level === "error")).toEqual([
      expect.objectContaining({
        check: "endpoint trusted",
        message: expect.stringMatching(
          /^v1\.0 does not answer: .*not started to run any/,
        ) as string,
      }),
    ]);
    expect(other.managed).toEqual([]);
    const folderOfCode = join(import.meta.dirname, "../fixtures/python");
    const runtime = ["--runtime", "process", "--launcher", "python"];
    expect(await on.refused(4, "register", "other", folderOfCode, ...runtime)).toMatchObject({
      code: "code.not-allowed",
      hint: expect.stringContaining("--allow-code") as string,
    });
    await other.terminate();
    await other.start({ args: [...withConfig, ...leave] });
    expect(await on.pidOf(1)).toBeGreaterThan(0);
  } finally {
    await other.destroy();
  }
}, 120_000);
