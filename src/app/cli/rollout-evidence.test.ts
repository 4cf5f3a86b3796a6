/** What a person sees of a rollout: its evidence, its end, and what comes next. */
import { afterAll, beforeAll, expect, test } from "vitest";

import {
  badAssessment,
  canaryView,
  endpointView,
  NEVER,
  rolloutAnswer,
  ScriptedApi,
} from "../../../test/support/scripted-api.ts";

let api: ScriptedApi;

beforeAll(async () => {
  api = await ScriptedApi.start();
});

afterAll(async () => {
  await api.stop();
});

const SEEN = { candidate: 640, pairs: 0, inStep: 640, fallback: 26, fallbackFailed: 0 };
const REASON = badAssessment().why;

function goingOn(): NonNullable<ReturnType<typeof rolloutAnswer>["assessment"]> {
  const [errors, latency] = badAssessment().metrics;
  if (errors === undefined || latency === undefined) throw new Error("two metrics");
  return {
    ...badAssessment(),
    decision: "hold",
    logE: 4.6,
    blamed: [],
    metrics: [{ ...errors, verdict: "inconclusive", logE: 4.8, alwaysValidP: 0.0082 }, latency],
  };
}

const answers = {
  step1: rolloutAnswer(canaryView(), { seen: SEEN }),
  held: rolloutAnswer(canaryView({ held: { why: REASON, since: Date.UTC(2026, 10, 21, 2, 43) } }), {
    seen: SEEN,
    assessment: goingOn(),
  }),
  baking: rolloutAnswer(
    canaryView({ phase: "Baking", weight: 95, step: null, bakeEndsAt: Date.now() + 600_000 }),
  ),
  succeeded: rolloutAnswer(
    canaryView({ phase: "Succeeded", step: null, weight: 100, endedAt: 1_800_000_000_000 }),
  ),
  back: rolloutAnswer(
    canaryView({
      phase: "RolledBack",
      step: null,
      weight: 0,
      endedAt: 1_800_000_000_000,
      reason: REASON,
    }),
    { assessment: badAssessment(), seen: SEEN },
  ),
  undecided: rolloutAnswer(
    canaryView({
      undecided: true,
      waitsFor: {
        why: "undecided: too little traffic",
        next: ['lastgood rollout promote fraud-prod --reason "…"', "lastgood rollout abort"],
      },
      held: { why: "too little traffic", since: 1_800_000_000_000 },
    }),
    { assessment: goingOn() },
  ),
};

test("rollout status shows the step, what holds it, and each metric against its threshold", async () => {
  api.script({ "GET /rollout": [answers.held] });
  const { exit, out } = await api.run(["rollout", "status"]);
  expect(exit).toBe(0);
  expect(out).toMatchInlineSnapshot(`
    "fraud-prod: Progressing, canary from v1.0 to v1.1
      weight    10 % on v1.1
      step      1 of 2 (10 %): 640 of 1 000 requests, 4 min left
      preview   v1.1 alone: POST /v2/models/fraud-prod/versions/v1.1/infer on the serving port
      held      since 2026-11-21 02:43:00Z: errorRate: 4.1 % errors, stable 0.5 %: 1 in 20 000 by chance
      started   2026-11-21 02:40:00Z
      fallback  26 answered by stable instead, 0 failed there too
      decision  hold: errorRate: 4.1 % errors, stable 0.5 %: 1 in 20 000 by chance
      evidence  ██████░░░░ 2.0 of 3.0, all metrics together; requests 640 candidate, 5 760 stable
      METRIC      CANDIDATE        STABLE             EVIDENCE (log10)         P        CAN STILL SEE   VERDICT
      errorRate   4.1 % (26/640)   0.5 % (29/5 760)   ██████░░░░ 2.1 of 3.1    0.0082   ≥ 2.3 %         not decided
      latency     42.1 ms at p99   41.3 ms at p99     ░░░░░░░░░░ -0.3 of 3.6   1        -               not decided
    "
  `);
});

test("rollout status says who keeps it from going back, and that it waits for a person", async () => {
  const until = Date.UTC(2026, 10, 21, 6, 40);
  const pinned = {
    ...answers.undecided,
    pin: { by: "ana", why: "load test", until },
    automatic: { on: false, why: "pinned by ana" },
  };
  api.script({ "GET /rollout": [pinned] });
  const { out } = await api.run(["rollout", "status", "fraud-prod"]);
  expect(out).toContain(
    "pinned    does not go back by itself until 2026-11-21 06:40:00Z: load test (ana)",
  );
  expect(out).toContain("waits     for a person: undecided: too little traffic");
  expect(out).toContain('next      lastgood rollout promote fraud-prod --reason "…"');
  api.script({
    "GET /rollout": [
      rolloutAnswer(null, { automatic: { on: false, why: "its policy says automatic: false" } }),
    ],
  });
  expect((await api.run(["rollout", "status"])).out).toBe(
    "fraud-prod: no rollout yet\n  automatic does not go back by itself: its policy says automatic: false\n",
  );
});

test("a health check has no evidence to show: its failures in a row act", async () => {
  const [errors] = badAssessment().metrics;
  if (errors === undefined) throw new Error("two metrics");
  const check = {
    ...errors,
    name: "ping",
    kind: "health",
    verdict: "inconclusive",
    candidate: { observations: 4, bad: 0, rate: 0 },
    stable: { observations: 0, bad: 0, rate: null },
    threshold: 34.5,
    detectable: null,
  } as const;
  const assessment = { ...goingOn(), metrics: [check] };
  api.script({ "GET /rollout": [rolloutAnswer(canaryView(), { assessment })] });
  const { out } = await api.run(["rollout", "status"]);
  expect(out).toMatch(/ping +0 % \(0\/4\) +- +- +- +- +not decided/);
});

test("rollout status says which metrics of the policy are not tested, and what would test them", async () => {
  const [errors, latency] = badAssessment().metrics;
  if (errors === undefined || latency === undefined) throw new Error("two metrics");
  const untested = {
    ...latency,
    action: "report" as const,
    words: "not tested: nothing runs beside it, and no limit is known",
  };
  const assessment = { ...goingOn(), metrics: [errors, untested] };
  api.script({ "GET /rollout": [rolloutAnswer(canaryView(), { assessment })] });
  const { out } = await api.run(["rollout", "status"]);
  expect(out).toMatch(/\n +latency .* not tested\n/);
  expect(out).toContain(
    "\n  untested  latency: nothing runs beside it, and no limit is known; a canary compares it with stable: --strategy canary, or canary steps in a policy file; a max in the policy holds above it\n",
  );
});

test("rollout status names the features in which inputs shifted", async () => {
  const [, latency] = badAssessment().metrics;
  if (latency === undefined) throw new Error("two metrics");
  const words = "amount above 7.9: 40 % of inputs, reference 0 % (PSI 3.1): 1 in 300 by chance";
  const feature = { name: "amount", bin: "above 7.9", live: 0.4, reference: 0, psi: 3.1 };
  const inputs = {
    ...latency,
    name: "inputDrift",
    kind: "inputDrift",
    action: "report" as const,
    verdict: "fail" as const,
    quantiles: null,
    features: [{ ...feature, logE: 5.7, shifted: true }],
    words,
  };
  const assessment = { ...goingOn(), metrics: [...goingOn().metrics, inputs] };
  api.script({ "GET /rollout": [rolloutAnswer(canaryView(), { assessment })] });
  expect((await api.run(["rollout", "status"])).out).toContain(`\n  inputDrift: ${words}\n`);
});

test("rollout status --json is the whole answer", async () => {
  api.script({ "GET /rollout": [answers.held] });
  const { out } = await api.run(["rollout", "status", "--json"]);
  expect(JSON.parse(out)).toEqual(answers.held);
});

const WATCH = ["rollout", "status", "--watch", "--poll", "1"];

test("rollout status --watch prints a line for each change and ends with the rollout", async () => {
  const { step1, held, baking, succeeded } = answers;
  api.script({ "GET /rollout": [step1, step1, held, held, baking, succeeded] });
  const { exit, out } = await api.run(WATCH);
  expect(exit).toBe(0);
  expect(out.split("\n").slice(0, 5)).toEqual([
    "fraud-prod: Progressing, step 1 of 2 (10 %), v1.1 at 10 %",
    `fraud-prod: Progressing, step 1 of 2 (10 %), v1.1 at 10 %, held: ${REASON}`,
    "fraud-prod: Baking, v1.1 at 95 %",
    "fraud-prod: Succeeded",
    "fraud-prod: Succeeded, canary from v1.0 to v1.1",
  ]);
});

test("on a terminal it is redrawn", async () => {
  api.script({ "GET /rollout": [answers.step1, answers.succeeded] });
  const { exit, out } = await api.run(WATCH, true);
  expect(exit).toBe(0);
  expect(out.split("\u001b[2J\u001b[H")).toHaveLength(3);
  expect(out).toContain("step      1 of 2 (10 %): 640 of 1 000 requests, 4 min left");
});

test("with --json it prints one value, at the end", async () => {
  api.script({ "GET /rollout": [answers.step1, answers.succeeded] });
  const { out, err } = await api.run([...WATCH, "--json"]);
  expect(JSON.parse(out)).toEqual(answers.succeeded);
  expect(err).toBe("");
});

const DEPLOYED = {
  endpoint: "fraud-prod",
  started: true,
  rollout: canaryView(),
  current: null,
  verified: true,
  switchMs: 4,
  failedRequests: 0,
  outlook: null,
  dryRun: false,
  notes: [],
};
const WAIT = ["deploy", "fraud@v1.1", "--wait", "--poll", "1"];

test.each([
  ["back", 3, "v1.1 on fraud-prod was rolled back by itself"],
  ["undecided", 5, "is undecided: too little traffic"],
] as const)("--watch and --wait end alike when it is %s", async (name, code, words) => {
  for (const argv of [WAIT, WATCH]) {
    api.script({ "GET /rollout": [answers.step1, answers[name]], "POST /deploy": [DEPLOYED] });
    const { exit, err } = await api.run(argv);
    expect(exit).toBe(code);
    expect(err).toContain(words);
  }
});

test("--wait ends at once where it goes no further without a person, --watch goes on showing it", async () => {
  const waitsFor = {
    why: "step 2 of 3 is a pause without an end: a person takes it on",
    next: ["lastgood rollout promote fraud-prod", "lastgood rollback fraud-prod"],
  };
  const gate = rolloutAnswer(canaryView({ waitsFor }));
  api.script({ "POST /deploy": [DEPLOYED], "GET /rollout": [answers.step1, gate, gate] });
  const waited = await api.run(WAIT);
  expect(waited.exit).toBe(5);
  expect(waited.err).toContain(
    "error: the rollout of v1.1 on fraud-prod waits for a person, v1.1 at 10 %: step 2 of 3 is a pause without an end: a person takes it on",
  );
  expect(waited.err).toContain(
    "next: lastgood rollout promote fraud-prod, or lastgood rollback fraud-prod",
  );
  api.script({ "GET /rollout": [gate, answers.succeeded] });
  const watched = await api.run(WATCH);
  expect(watched.exit).toBe(0);
  expect(watched.out).toContain("v1.1 at 10 %, waits for a person");
});

test("--timeout counts from the command's start, also while the server still prepares", async () => {
  api.script({ "POST /deploy": [NEVER], "GET /rollout": [answers.step1] });
  const { exit, err } = await api.run([...WAIT, "--timeout", "100ms"]);
  expect(exit).toBe(5);
  expect(err).toContain("fraud@v1.1 carries no traffic yet after 100 ms");
  expect(err).toContain("next: lastgood rollout status");
});

test("a --timeout shorter than the plan is said at once, and what it leads to", async () => {
  const says = "note: its steps and bake take 1 h 24 min, longer than --timeout 30 min: ";
  api.script({ "POST /deploy": [DEPLOYED], "GET /rollout": [answers.succeeded] });
  const short = await api.run([...WAIT, "--timeout", "30m"]);
  expect(short.exit).toBe(0);
  expect(short.err).toContain(says);
  for (const more of [["--timeout", "2h"], []]) {
    api.script({ "POST /deploy": [DEPLOYED], "GET /rollout": [answers.succeeded] });
    expect((await api.run([...WAIT, ...more])).err).not.toContain("note:");
  }
});

test("another rollout in its place: how it ended counts, else that it was superseded", async () => {
  const another = rolloutAnswer(canaryView({ id: "another", phase: "Preparing" }));
  for (const argv of [WAIT, WATCH]) {
    for (const [lastRollout, code] of [
      [null, 6],
      [answers.back.rollout, 3],
      [answers.succeeded.rollout, 0],
    ] as const) {
      api.script({
        "GET /rollout": [answers.step1, another],
        "POST /deploy": [DEPLOYED],
        "GET /endpoints/fraud-prod": [endpointView(lastRollout)],
      });
      expect((await api.run(argv)).exit).toBe(code);
    }
  }
});

test("deploy --wait tells each change, and why it was taken back, in words", async () => {
  api.script({
    "POST /deploy": [DEPLOYED],
    "GET /rollout": [answers.step1, answers.held, answers.back],
  });
  const { exit, out, err } = await api.run(WAIT);
  expect(exit).toBe(3);
  expect(out).toBe("");
  expect(err.split("\n").slice(-7)).toEqual([
    "fraud-prod: Progressing, step 1 of 2 (10 %), v1.1 at 10 %",
    `fraud-prod: Progressing, step 1 of 2 (10 %), v1.1 at 10 %, held: ${REASON}`,
    "fraud-prod: RolledBack",
    `error: v1.1 on fraud-prod was rolled back by itself: ${REASON}`,
    "  latency: p99 42.1 ms, stable 41.3 ms: no more than chance explains",
    "next: lastgood incident 1f0c8a52",
    "",
  ]);
  api.script({ "POST /deploy": [DEPLOYED], "GET /rollout": [answers.back] });
  const json = JSON.parse((await api.run([...WAIT, "--json"])).out) as {
    error: { code: string; details: { assessment: unknown } };
  };
  expect(json.error.code).toBe("rollout.rolled-back");
  expect(json.error.details.assessment).toEqual(badAssessment());
});

test("deploy says what comes next, and what it can see with the traffic so far", async () => {
  const stage = { percent: null, requests: null, timeMs: null, detectable: null };
  const outlook = {
    comparison: "live",
    traffic: {
      requestsPerSecond: 12.34,
      errorRate: 0.005,
      requests: 88_848,
      observedMs: 7_200_000,
    },
    stages: [
      { ...stage, kind: "weight", percent: 10, requests: 1_000, timeMs: 6e5, detectable: 0.031 },
      { ...stage, kind: "pause" },
      { ...stage, kind: "bake", percent: 95, timeMs: 3.6e6, detectable: 0.012 },
    ],
    untested: [
      { metric: "latency", why: "nothing runs beside it", testedBy: "a canary" },
      { metric: "drift", why: "nothing runs beside it", testedBy: "a canary" },
    ],
  };
  const deployed = { ...DEPLOYED, outlook };
  api.script({
    "POST /deploy": [deployed, { ...deployed, outlook: { ...outlook, traffic: null } }],
  });
  const { out } = await api.run(["deploy", "fraud@v1.1"]);
  expect(out).toContain(
    [
      "  next      step 1: 10 % until 1 000 requests and 10 min: sees errors from 3.1 % on",
      "            step 2: waits for you",
      "            bake for 1 h: sees errors from 1.2 % on",
      "            by the traffic so far: 12 requests/s, 0.5 % errors, over 2 h; half of the time, each stage by itself",
      "  untested  latency, drift: nothing runs beside it; a canary",
      "",
    ].join("\n"),
  );
  expect((await api.run(["deploy", "fraud@v1.1"])).out).toContain("no baseline traffic yet");
});

test("pin sends why and for how long, and says how to end it", async () => {
  const until = Date.UTC(2026, 10, 21, 6, 40);
  const pinned = rolloutAnswer(null, {
    done: "fraud-prod does not go back by itself until the pin ends",
    pin: { by: "tester", why: "load test", until },
    automatic: { on: false, why: "pinned by tester" },
  });
  api.script({ "POST /rollout": [pinned] });
  const { exit, out } = await api.run(["pin", "--reason", "load test", "--for", "4h"]);
  expect(exit).toBe(0);
  expect(out).toBe(
    "fraud-prod does not go back by itself until the pin ends\n  pinned    does not go back by itself until 2026-11-21 06:40:00Z: load test (tester)\nnext: lastgood unpin fraud-prod ends it earlier\n",
  );
  expect(api.calls[0]?.body).toEqual({
    command: "pin",
    endpoint: null,
    forMs: 14_400_000,
    reason: "load test",
    actor: "tester",
  });
  await api.run(["unpin", "fraud-prod"]);
  expect(api.calls[1]?.body).toMatchObject({ command: "unpin", endpoint: "fraud-prod" });
  const without = await api.run(["pin"]);
  expect(without.exit).toBe(2);
  expect(without.err).toContain("--reason");
});

/** The first line of what deploy says of such an answer. */
async function saysOf(answer: unknown, ...more: readonly string[]): Promise<string> {
  api.script({ "POST /deploy": [answer] });
  return (await api.run(["deploy", "fraud@v1.1", ...more])).out.split("\n")[0] ?? "";
}

test("deploy says of what it has, or is on its way to, that nothing was or would be done", async () => {
  const same = { ...DEPLOYED, started: false, current: canaryView().from };
  expect(await saysOf({ ...same, rollout: null })).toBe(
    "fraud-prod has v1.0 already; nothing was done",
  );
  expect(await saysOf(same)).toBe("fraud-prod is on its way to v1.1 already; nothing was done");
  expect(await saysOf({ ...same, rollout: null, dryRun: true }, "--dry-run")).toBe(
    "dry run: fraud-prod has v1.0 already; nothing would be done",
  );
});

test("reinstate claims no more than that it is as before, and says how it is kept", async () => {
  const { from, to } = canaryView();
  const taken = {
    endpoint: "fraud-prod",
    from,
    to,
    why: "the rollback is taken back by tester",
    passedOver: [],
    warm: true,
    verified: true,
    durable: true,
    via: "api",
    switchMs: 4,
    lastOldAdmittedMs: null,
    lastOldResponseMs: null,
    failedRequests: 0,
    trigger: "manual",
    actor: "tester",
    reason: "x",
    at: null,
    historyHead: null,
    dryRun: false,
    already: false,
    notes: [],
  };
  api.script({ "POST /reinstate": [taken] });
  const { out } = await api.run(["reinstate", "--reason", "x"]);
  expect(out).toContain("fraud-prod has v1.1 again, as before the rollback to v1.0\n");
  expect(out).toContain('lastgood pin fraud-prod --reason "…" keeps it from going back by itself');
  expect(out).not.toContain("lastgood reinstate");
});
