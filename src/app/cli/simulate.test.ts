/** Policies simulated on the command line. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { ScriptedApi } from "../../../test/support/scripted-api.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { drawBaseline } from "../../../test/support/watch.ts";
import { trafficOf } from "../../core/analysis/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-simulate-"));
const policy = join(folder, "lastgood.yaml");
let api: ScriptedApi;

beforeAll(async () => {
  api = await ScriptedApi.start();
  writeFileSync(
    policy,
    [
      "model: fraud",
      "rollout:",
      "  canary:",
      "    steps:",
      "      - weight: 10%",
      "        until: { requests: 100, time: 10m }",
      "  bake: 20m",
      "",
    ].join("\n"),
  );
});

afterAll(async () => {
  await api.stop();
  rmSync(folder, { recursive: true });
});

interface Simulated {
  readonly falseAlarmsPerThousand: number;
  readonly results: readonly {
    readonly scenario: { readonly errorRate: number | null; readonly times: number };
    readonly caught: number;
    readonly requests: { readonly median: number | null };
  }[];
}

const TOLD = ["simulate", "--policy", policy, "--rate", "20/s", "--error-rate", "0.5%"];

test("told what the traffic is, it asks no server; the same seed gives the same numbers", async () => {
  api.script({});
  const argv = [...TOLD, "--runs", "20", "--json"];
  const first = await api.run(argv);
  expect(first.exit).toBe(0);
  expect(api.calls).toEqual([]);
  expect((await api.run(argv)).out).toBe(first.out);
  const { results, falseAlarmsPerThousand } = JSON.parse(first.out) as Simulated;
  expect(falseAlarmsPerThousand).toBe(0);
  expect(results.map(({ scenario }) => [scenario.errorRate, scenario.times])).toEqual([
    [null, 1],
    [0.01, 1],
    [0.02, 1],
    [0.05, 1],
    [0.2, 1],
    [1, 1],
    [null, 1],
    [null, 1],
  ]);
  expect(results[5]).toMatchObject({ caught: 20 });
  expect((await api.run([...argv, "--seed", "2"])).out).not.toBe(first.out);
});

test("a person reads how soon, after how many requests, and in which step", async () => {
  const { out } = await api.run([...TOLD, "--runs", "20", "--catch", "100%,20%"]);
  expect(out).toContain("traffic as told: 10 % for 10 min, bake 20 min with 5 % held back\n");
  expect(out).toContain("traffic   20 requests/s, 0.5 % errors (told)\n");
  expect(out).toContain(
    "of 1 000 rollouts of a candidate as good as stable went back; at most 1 are allowed",
  );
  expect(out).toContain("nothing was measured: slowdowns are left out");
  expect(out).toMatch(
    /100 % errors +100 % +\d+ \/ \d+ +[\d.]+ s \/ [\d.]+ s +\d+ \/ \d+ +step 1 100 %/,
  );
  expect(out).toContain("median / 95th percentile over 20 rollouts each, seed 1");
});

test("the traffic and the policy of an endpoint are what it takes by default", async () => {
  const baseline = drawBaseline(seededRandom(3), 300, 30, { errorRate: 0.01, latencyMs: 20 });
  const traffic = trafficOf(baseline, "auto");
  const served = { version: "v1.0", revision: 1, digest: `sha256:${"1".repeat(64)}` };
  const shown = { endpoint: "fraud-prod", isDefault: true, policy: { model: "fraud" } };
  api.script({
    "GET /traffic": [{ endpoint: "fraud-prod", revision: served, traffic, labels: null }],
    "GET /policy": [{ ...shown, policy: { ...shown.policy, rollout: { canary: {}, bake: "5m" } } }],
  });
  const { exit, out, err } = await api.run(["simulate", "--runs", "5", "--catch", "50"]);
  expect(exit, err).toBe(0);
  expect(out).toMatch(/^fraud-prod: 10 % for 10 min, 50 % for 20 min, bake 5 min/);
  expect(out).toContain("(measured)");
  expect(out).toMatch(/2 x as slow +100 %/);
  const faster = await api.run(["simulate", "--runs", "5", "--catch", "50", "--rate", "600/min"]);
  expect(faster.out).toContain("10 requests/s, 0.94 % errors");
  expect(faster.out).toContain("(measured and told)");
});

test("in a blue/green bake copies show a slowdown, and with nothing beside the candidate nothing does", async () => {
  const baseline = drawBaseline(seededRandom(3), 300, 30, { errorRate: 0.01, latencyMs: 20 });
  const traffic = trafficOf(baseline, "auto");
  const shown = { endpoint: "fraud-prod", isDefault: true, policy: { model: "fraud" } };
  const under = async (rollout: object) => {
    api.script({
      "GET /traffic": [{ endpoint: "fraud-prod", revision: null, traffic, labels: null }],
      "GET /policy": [{ ...shown, policy: { ...shown.policy, rollout } }],
    });
    const argv = ["simulate", "--runs", "5", "--catch", "100%", "--rate", "40/s"];
    return (await api.run(argv)).out;
  };
  expect(await under({ blueGreen: {}, bake: "1h" })).toMatch(/2 x as slow +100 %/);
  const alone = await under({ recreate: {}, bake: "5m" });
  expect(alone).toContain("nothing runs beside the candidate: slowdowns are left out");
});

test("labels are drawn as they came, as told, or as is assumed and said", async () => {
  const argv = [...TOLD, "--runs", "3", "--catch", "100%"];
  const assumed = await api.run(argv);
  expect(assumed.out).toContain(
    "feedback  on 10 % of requests, 10 min later, 10 % of stable's answers wrong (assumed)\n            --labels, --label-delay and --wrong say how it is; --labels 0% leaves it out\n",
  );
  expect(assumed.out).toMatch(/^30 % wrong +\d+ %/m);
  expect(assumed.out).not.toContain("waited for a person");
  const told = await api.run([...argv, "--labels", "50%", "--label-delay", "1m", "--wrong", "2%"]);
  expect(told.out).toContain(
    "feedback  on 50 % of requests, 1 min later, 2 % of stable's answers wrong (told)\n",
  );
  expect(told.out).toMatch(/^22 % wrong +100 %/m);
  expect((await api.run([...argv, "--labels", "0%"])).out).not.toMatch(/feedback|wrong/);
  const traffic = trafficOf(drawBaseline(seededRandom(3), 300, 30, { latencyMs: 20 }), "auto");
  const labels = { share: 0.25, delayMs: 120_000, wrong: null };
  api.script({
    "GET /traffic": [{ endpoint: "fraud-prod", revision: null, traffic, labels }],
    "GET /policy": [{ endpoint: "fraud-prod", isDefault: true, policy: { model: "fraud" } }],
  });
  const measured = await api.run([
    "simulate",
    "--runs",
    "3",
    "--catch",
    "100%",
    "--policy",
    policy,
  ]);
  expect(measured.out).toContain(
    "feedback  on 25 % of requests, 2 min later, 10 % of stable's answers wrong (measured, wrong ones assumed)",
  );
});

test("without any traffic it refuses, and says what to type", async () => {
  api.script({
    "GET /traffic": [{ endpoint: "fraud-prod", revision: null, traffic: null, labels: null }],
    "GET /policy": [{ endpoint: "fraud-prod", isDefault: true, policy: { model: "fraud" } }],
  });
  const { exit, err } = await api.run(["simulate"]);
  expect(exit).toBe(2);
  expect(err).toContain("next: say what it has: lastgood simulate --rate 10/s --error-rate 0.5%");
  const none = new LastgoodError("endpoint.not-found", "there is no endpoint fraud-prod");
  api.script({ "GET /traffic": [none] });
  const unmade = await api.run(["simulate", "--policy", policy]);
  expect(unmade.exit).toBe(1);
  expect(unmade.err).toContain("say what it will have: --rate 10/s --error-rate 0.5%");
  for (const wrong of [
    ["--rate", "soon"],
    ["--rate", "0/s"],
    ["--error-rate", "101%"],
    ["--catch", "1%,much"],
    ["--runs", "0"],
  ])
    expect((await api.run(["simulate", ...wrong])).exit).toBe(2);
});
