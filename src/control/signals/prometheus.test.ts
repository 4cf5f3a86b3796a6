import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, test } from "vitest";

import { metricOf, SignalsStage } from "../../../test/support/signals-stage.ts";
import { NO_SIGNAL_SOURCES, type Metric } from "../../core/policy/index.ts";
import type { Collected, Watched } from "./index.ts";
import { increase } from "./prometheus-source.ts";

/** What the server has by query: series with their values, or an answer of another kind. */
type Answer = Readonly<Record<string, string>> | ((response: ServerResponse) => void);

let server: Server;
let stage: SignalsStage;
let answers: Map<string, Answer>;
let asked: { query: string; time: string; token: string | undefined; path: string | undefined }[];

const metric = metricOf({
  kind: "prometheus",
  name: "payments",
  source: "main",
  bad: 'bad{version="{{version}}"}',
  total: 'all{version="{{version}}",revision="{{revision}}"}',
});

beforeEach(async () => {
  answers = new Map();
  asked = [];
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const form = new URLSearchParams(body);
      const query = form.get("query") ?? "";
      const { url: path, headers } = request;
      asked.push({ query, time: form.get("time") ?? "", token: headers.authorization, path });
      answer(query, response);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  await open();
});

afterEach(async () => {
  await stage.end();
  server.closeAllConnections();
  server.close();
});

function answer(query: string, response: ServerResponse): void {
  const found = answers.get(query) ?? {};
  if (typeof found === "function") {
    found(response);
    return;
  }
  const result = Object.entries(found).map(([pod, value]) => ({
    metric: { pod },
    value: [1_800_000_000, value],
  }));
  response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
}

async function open(
  timeout = 10_000,
  env: Readonly<Record<string, string>> = { PROM_TOKEN: "s3cret" },
): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const main = {
    url: `http://127.0.0.1:${port}/prom`,
    tokenEnv: "PROM_TOKEN",
    every: 20,
    timeout,
  };
  stage = new SignalsStage({ env, sources: { ...NO_SIGNAL_SOURCES, prometheus: { main } } });
  await stage.open();
}

function counters(
  candidate: readonly [Answer, Answer],
  stable: readonly [Answer, Answer] = [{ a: "0" }, { a: "0" }],
): void {
  answers.set('bad{version="v1.1"}', candidate[0]);
  answers.set('all{version="v1.1",revision="2"}', candidate[1]);
  answers.set('bad{version="v1.0"}', stable[0]);
  answers.set('all{version="v1.0",revision="1"}', stable[1]);
}

/** Lets the stage's clock go on, and gives the server time to be asked again. */
async function later(): Promise<void> {
  stage.now += 1_000;
  const before = asked.length;
  for (let tries = 0; tries < 200 && asked.length < before + 8; tries += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/** Takes the first look, from which on counters are counted. */
async function begin(watched: Watched): Promise<void> {
  await stage.take(watched);
  await later();
  await stage.take(watched);
}

/** What is given once the server has been asked. */
async function given(watched: Watched): Promise<Collected> {
  for (let tries = 0; ; tries += 1) {
    const collected = await stage.collect(watched);
    if (Object.keys(collected.signals).length > 0 || tries === 100) return collected;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

/** The same, confirmed. */
async function taken(watched: Watched): Promise<Collected["signals"]> {
  const collected = await given(watched);
  await stage.confirm(collected);
  return collected.signals;
}

test("counters of both arms are counted by what they rose, once", async () => {
  const watched = stage.watched([metric]);
  counters([{ a: "5" }, { a: "100" }], [{ a: "1" }, { a: "1000", b: "7" }]);
  await begin(watched);
  counters([{ a: "8" }, { a: "120" }], [{ a: "1" }, { a: "1100", b: "17" }]);
  await later();
  const first = await given(watched);
  const expected = {
    payments: {
      candidate: { observations: 20, bad: 3 },
      stable: { observations: 110, bad: 0 },
      paired: null,
      broken: null,
    },
  };
  expect(first.signals).toEqual(expected);
  await later();
  await stage.restart();
  const again = await given(watched);
  expect(again.signals, "lost before it was confirmed").toEqual(expected);
  await stage.confirm(again);
  await later();
  expect((await stage.collect(watched)).signals).toEqual({});
  expect(asked[0]).toMatchObject({ token: "Bearer s3cret", path: "/prom/api/v1/query" });
});

test("a counter that begins anew counts from 0, also one that comes and goes", async () => {
  expect(increase({ a: 5, b: 2 }, { a: 7, b: 1, c: 4 })).toBe(2 + 1 + 4);
  const watched = stage.watched([metric], { stable: null });
  counters([{}, { a: "100", b: "50" }]);
  await begin(watched);
  counters([{}, { a: "10" }]);
  await later();
  expect((await taken(watched))["payments"]?.candidate).toEqual({ observations: 10, bad: 0 });
  counters([{ a: "2" }, { a: "15", b: "51" }]);
  await later();
  expect((await taken(watched))["payments"]?.candidate).toEqual({ observations: 6, bad: 2 });
});

test.each<readonly [string, Answer, string]>([
  ["nothing", {}, "the query for all events of v1.1 gives nothing"],
  ["NaN", { a: "NaN" }, "the query gives NaN, which is no count"],
  ["infinity", { a: "+Inf" }, "the query gives +Inf, which is no count"],
  [
    "an error",
    (response) => response.end('{"status":"error","error":"parse error at char 3"}'),
    "it refuses the query: parse error at char 3",
  ],
  [
    "a matrix",
    (response) => response.end('{"status":"success","data":{"resultType":"matrix","result":[]}}'),
    "the query gives a matrix; needed is a vector or a scalar",
  ],
  [
    "no JSON",
    (response) => response.writeHead(502).end("<html>"),
    "it answers 502, and not as a Prometheus server",
  ],
  [
    "a redirect",
    (response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    "unexpected redirect",
  ],
  [
    "too many series",
    Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`p${at}`, "1"])),
    "the query gives more than 200 series: sum them, sum(…)",
  ],
])("a query that gives %s is broken, neither good nor bad", async (_, total, why) => {
  counters([{ a: "1" }, total]);
  const { payments } = await taken(stage.watched([metric]));
  expect(payments).toEqual({
    candidate: { observations: 0, bad: 0 },
    stable: { observations: 0, bad: 0 },
    paired: null,
    broken: `main: ${why}`,
  });
});

test("a server that hangs is broken after its timeout, holds up nobody, and nothing is lost", async () => {
  await stage.end();
  await open(2_000);
  const watched = stage.watched([metric, metricOf({ kind: "accuracy", name: "accuracy" })]);
  counters([{ a: "0" }, { a: "10" }]);
  await begin(watched);
  counters([() => undefined, () => undefined]);
  await stage.signals.take([{ requestId: stage.ids(2).next(stage.now), correct: false }]);
  const startedAt = performance.now();
  const { accuracy } = await stage.take(watched);
  expect(accuracy?.candidate).toEqual({ observations: 1, bad: 1 });
  expect(performance.now() - startedAt).toBeLessThan(1_800);
  expect((await taken(watched))["payments"]?.broken).toBe("main: no answer within 2000 ms");
  counters([{ a: "4" }, { a: "30" }]);
  await later();
  await later();
  expect((await taken(watched))["payments"]).toMatchObject({
    candidate: { observations: 20, bad: 4 },
    broken: null,
  });
});

test("a server that answers again is read, whatever it counts; before its first answer it is not", async () => {
  const watched = stage.watched([metric]);
  counters([{ a: "0" }, { a: "10" }]);
  await begin(watched);
  counters([() => undefined, () => undefined]);
  await stage.restart();
  const broken = { ...watched, broken: [metric.name] };
  expect(await stage.take(broken)).toEqual({});
  counters([{ a: "0" }, { a: "10" }]);
  await stage.restart();
  const nothing = { observations: 0, bad: 0 };
  expect((await taken(broken))["payments"]).toMatchObject({ candidate: nothing, broken: null });
});

test("queries that do not tell the arms apart count for the candidate alone", async () => {
  const whole = { ...metric, bad: "bad", total: "all" } as Metric;
  const watched = stage.watched([whole]);
  answers.set("bad", { a: "0" }).set("all", { a: "10" });
  await begin(watched);
  answers.set("bad", { a: "1" }).set("all", { a: "30" });
  await later();
  expect((await taken(watched))["payments"]).toMatchObject({
    candidate: { observations: 20, bad: 1 },
    stable: { observations: 0, bad: 0 },
  });
});

test("a name cannot leave its place in the query, and what is not set up is said", async () => {
  await begin(stage.watched([metric], { candidateVersion: 'x"} or up{y="' }));
  expect(asked.map(({ query }) => query)).toContain('bad{version="x\\"} or up{y=\\""}');
  const unknown = { ...metric, source: "other" } as Metric;
  const { payments } = await taken(stage.watched([unknown], { rollout: "r2" }));
  expect(payments?.broken).toBe('server.yaml names no prometheus server "other"');
  await stage.end();
  await open(10_000, {});
  const { payments: untold } = await taken(stage.watched([metric]));
  expect(untold?.broken).toBe("main: the environment variable PROM_TOKEN is not set");
});
