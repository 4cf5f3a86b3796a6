import { rmSync } from "node:fs";
import { join } from "node:path";

import { afterEach, describe, expect, test } from "vitest";

import { blobPath } from "../../src/core/version/index.ts";
import type { RouteRevision } from "../../src/link/route/index.ts";
import {
  allReady,
  canaryRoute,
  connected,
  DoublingRemote,
  limited,
  MOODS,
  publishReady,
  quantile,
  totals,
  type CanaryOptions,
} from "../support/canary.ts";
import { GatewayHarness, numberBody, type Answer } from "../support/gateway-harness.ts";

let harness: GatewayHarness;

/** `doubles` is stable, `moody` the candidate. */
async function canary(
  options: CanaryOptions = {},
  ofStable: Partial<RouteRevision["limits"]> = {},
): Promise<void> {
  harness = await connected(new GatewayHarness());
  const stable = limited(await harness.numbers(1, "doubles", "v1.0"), ofStable);
  const candidate = await harness.numbers(2, "moody", "v1.1");
  await publishReady(harness, canaryRoute(harness, { stable, candidate }, options));
}

function failures(answers: readonly Answer[]): readonly Answer[] {
  return answers.filter((answer) => answer.status !== 200);
}

function times(answers: readonly Answer[]): number[] {
  return answers.map((answer) => answer.receivedAt - answer.sentAt);
}

/** What 16 callers are answered for a while. */
async function loaded(body: unknown): Promise<readonly Answer[]> {
  const load = harness.load(16, body);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  return load.stop();
}

function outputOf(answer: Answer): number | undefined {
  return (JSON.parse(answer.body) as { outputs: { data: number[] }[] }).outputs[0]?.data[0];
}

afterEach(() => harness.end(), 20_000);

describe("what the candidate fails, stable answers", () => {
  test.each(["nan", "throws"] as const)(
    "%s: the answer says who gave it and who failed, and is counted apart",
    async (mood) => {
      await canary({ weight: 100 });
      const answer = await harness.infer(numberBody(MOODS[mood]));
      expect(answer).toMatchObject({ status: 200, revision: "1", fallback: "v1.1/2" });
      expect(outputOf(answer)).toBe(2 * MOODS[mood]);
      expect(JSON.parse(answer.body)).toMatchObject({ model_version: "v1.0" });
      const good = await harness.infer(numberBody(4));
      expect(good).toMatchObject({ status: 200, revision: "2", fallback: undefined });
      await harness.until(() => totals(harness)["2 assigned"]?.requests === 2, "the counts");
      expect(totals(harness)).toEqual({
        "2 assigned": { requests: 2, errors: 1 },
        "1 fallback": { requests: 1, errors: 0 },
      });
    },
    30_000,
  );

  test("a candidate whose process does not come back is not waited for any longer than a second", async () => {
    harness = await connected(new GatewayHarness());
    const stable = await harness.numbers(1, "doubles", "v1.0");
    const candidate = await harness.numbers(2, "moody", "v1.1");
    await publishReady(harness, canaryRoute(harness, { stable, candidate }, { weight: 100 }));
    const pid = harness.modelPid(await allReady(harness, 2), 2);
    rmSync(join(harness.dataDir, blobPath(candidate.digest)));
    process.kill(pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => harness.infer(numberBody(3))),
    );
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 200, revision: "1", fallback: "v1.1/2" });
    expect(Math.max(...times(answers))).toBeLessThan(5_000);
  }, 30_000);

  test("a request that both fail gets stable's error, and counts against both", async () => {
    harness = await connected(new GatewayHarness());
    const stable = await harness.numbers(1, "moody", "v1.0");
    const candidate = await harness.numbers(2, "moody", "v1.1");
    const route = canaryRoute(harness, { stable, candidate }, { weight: 100 });
    await publishReady(harness, route);
    const answer = await harness.infer(numberBody(MOODS.throws));
    expect(answer).toMatchObject({ status: 500, revision: "1", fallback: "v1.1/2" });
    const nan = await harness.infer(numberBody(MOODS.nan));
    expect(nan).toMatchObject({ status: 500, revision: "1", fallback: "v1.1/2" });
    expect(nan.body).toContain("v1.0: output y holds NaN");
    await harness.until(() => totals(harness)["1 fallback"]?.requests === 2, "the counts");
    expect(totals(harness)).toEqual({
      "2 assigned": { requests: 2, errors: 2 },
      "1 fallback": { requests: 2, errors: 2 },
    });
  }, 30_000);

  test("a version that a caller named answers for itself", async () => {
    await canary({ weight: 50 });
    const named = await harness.ask(
      "/v2/models/iris-prod/versions/v1.1/infer",
      numberBody(MOODS.throws),
    );
    expect(named).toMatchObject({ status: 500, revision: "2", fallback: undefined });
  }, 30_000);

  test("with the safeguard off the candidate's error is the answer", async () => {
    await canary({ weight: 100, fallback: false });
    const answer = await harness.infer(numberBody(MOODS.throws));
    expect(answer).toMatchObject({ status: 500, revision: "2", fallback: undefined });
    expect((await harness.infer(numberBody(3))).status).toBe(200);
  }, 30_000);

  test("a candidate that fails half of all traffic costs no request, and stable stays quick", async () => {
    await canary({ weight: 50, fallback: true });
    const before = await loaded(numberBody(3));
    const answers = await loaded(numberBody(MOODS.throws));
    const after = await loaded(numberBody(3));
    expect(failures([...before, ...answers, ...after])).toEqual([]);
    expect(new Set(answers.map((answer) => answer.revision))).toEqual(new Set(["1"]));
    const fellBack = answers.filter((answer) => answer.fallback === "v1.1/2");
    expect(fellBack.length / answers.length).toBeGreaterThan(0.35);
    expect(fellBack.length / answers.length).toBeLessThan(0.65);
    const [stableBefore = [], stableAfter = []] = [before, after].map((each) =>
      times(each.filter((answer) => answer.revision === "1")),
    );
    const stableNow = times(answers.filter((answer) => answer.fallback === undefined));
    const shown = [stableBefore, stableNow, times(fellBack), stableAfter].map((each) =>
      [0.5, 0.99].map((share) => Number(quantile(each, share).toFixed(2))),
    );
    process.stderr.write(
      `stable's own requests, p50 and p99 ms: ${shown[0]?.join(" ")} before, ${shown[1]?.join(" ")} ` +
        `while every other request fell back (${shown[2]?.join(" ")}), ${shown[3]?.join(" ")} after; ${answers.length} answers\n`,
    );
    expect(quantile(stableNow, 0.5)).toBeLessThan(5 * quantile(stableBefore, 0.5) + 20);
    // By its own tail right after, when nothing is cold any more: a busy machine widens the bound as well.
    expect(quantile(stableNow, 0.99)).toBeLessThan(2 * quantile(stableAfter, 0.99) + 150);
  }, 30_000);
});

describe("what stable is not asked for", () => {
  test("a request that killed the candidate twice gets 500, others are answered, stable never sees it", async () => {
    await canary({ weight: 50 });
    const before = await allReady(harness, 2);
    const load = harness.load(8, numberBody(3));
    const killed: Answer[] = [];
    // Stable takes no harm from it, so it is sent until the split gives it to the candidate.
    for (let turn = 0; turn < 30 && killed.length === 0; turn += 1) {
      const sent = [1, 2].map(() => harness.infer(numberBody(MOODS.dies)));
      killed.push(...failures(await Promise.all(sent)));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    const others = await load.stop();
    expect(failures(others)).toEqual([]);
    expect(new Set(others.map((answer) => answer.revision))).toEqual(new Set(["1", "2"]));
    const after = await allReady(harness, 2);
    expect(harness.modelPid(after, 1)).toBe(harness.modelPid(before, 1));
    expect(harness.modelPid(after, 2)).not.toBe(harness.modelPid(before, 2));
    expect(killed.length).toBeGreaterThan(0);
    for (const answer of killed) {
      expect(answer).toMatchObject({ status: 500, revision: "2", fallback: undefined });
      expect(answer.body).toContain("died twice with this request in it");
    }
  }, 60_000);

  test("a body above 1 MiB is not repeated, and counted as ineligible", async () => {
    await canary({ weight: 100 });
    const data = Array.from({ length: 600_000 }, () => MOODS.throws);
    const shape = [data.length, 1];
    const large = { inputs: [{ name: "x", shape, datatype: "FP32", data }] };
    const answer = await harness.infer(large);
    expect(answer).toMatchObject({ status: 500, revision: "2", fallback: undefined });
    await harness.until(() => totals(harness)["2 ineligible"], "the counts");
    expect(totals(harness)).toEqual({
      "2 assigned": { requests: 1, errors: 1 },
      "2 ineligible": { requests: 1, errors: 0 },
    });
  }, 30_000);

  test("beyond stable's free concurrency requests are sent away, to come again", async () => {
    await canary({ weight: 100 }, { queue: 4 });
    const answers = await Promise.all(
      Array.from({ length: 64 }, () => harness.infer(numberBody(MOODS.throws))),
    );
    const sentAway = failures(answers);
    expect(sentAway.length).toBeGreaterThan(0);
    expect(sentAway.length).toBeLessThan(answers.length);
    for (const answer of sentAway) {
      expect(answer).toMatchObject({ status: 503, revision: "2", retryAfter: "1" });
      expect(answer.body).toContain("has no room to answer it");
    }
    await harness.until(() => totals(harness)["2 assigned"]?.requests === 64, "the counts");
    expect(totals(harness)).toEqual({
      "2 assigned": { requests: 64, errors: 64 },
      "2 shed": { requests: sentAway.length, errors: 0 },
      "1 fallback": { requests: answers.length - sentAway.length, errors: 0 },
    });
  }, 30_000);
});

describe("a candidate at a remote", () => {
  let remote: DoublingRemote;

  async function remoteCanary(
    retries: boolean,
    limits: Partial<RouteRevision["limits"]> = {},
  ): Promise<void> {
    remote = await DoublingRemote.start();
    harness = await connected(new GatewayHarness({ remotes: { there: remote.settings(retries) } }));
    const stable = await harness.numbers(1, "doubles", "v1.0");
    const candidate = limited(await remote.revision(harness, 2, "there", stable), limits);
    await publishReady(harness, canaryRoute(harness, { stable, candidate }, { weight: 100 }));
    remote.infers = 0;
  }

  afterEach(() => remote.stop());

  test("that may be asked twice falls back when it fails or cannot be reached", async () => {
    await remoteCanary(true);
    const good = await harness.infer(numberBody(4));
    expect(good).toMatchObject({ status: 200, revision: "2" });
    for (const fails of ["error", "drop"] as const) {
      remote.fails = fails;
      const answer = await harness.infer(numberBody(4));
      expect(answer).toMatchObject({ status: 200, revision: "1", fallback: "v1.0/2" });
    }
  }, 30_000);

  test("that does not answer in time leaves stable the rest of the request's time", async () => {
    await remoteCanary(true, { timeoutMs: 4_000 });
    remote.fails = "silent";
    const answer = await harness.infer(numberBody(4));
    expect(answer).toMatchObject({ status: 200, revision: "1", fallback: "v1.0/2" });
    expect(answer.receivedAt - answer.sentAt).toBeGreaterThan(3_500);
  }, 30_000);

  test("that may not is asked once, its failures go to the caller and are reported", async () => {
    await remoteCanary(false);
    remote.fails = "error";
    expect(await harness.infer(numberBody(4))).toMatchObject({ status: 500, revision: "2" });
    remote.fails = "drop";
    expect(await harness.infer(numberBody(4))).toMatchObject({ status: 503, revision: "2" });
    expect(remote.infers).toBe(2);
    await harness.until(() => totals(harness)["2 ineligible"]?.requests === 2, "the counts");
    expect(totals(harness)).toEqual({
      "2 assigned": { requests: 2, errors: 2 },
      "2 ineligible": { requests: 2, errors: 0 },
    });
  }, 30_000);
});
