/**
 * Drift of inputs is advice (law 6 decides by what compares revisions, and inputs are the same for both):
 * a rollout whose callers ask other things than the reference set holds says so by the feature's name,
 * and goes on to its end; one whose callers ask what it holds says nothing.
 */
import { readFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Assessment } from "../../src/core/analysis/index.ts";
import { ENDPOINT, TESTER } from "../support/iris-endpoint.ts";
import { Load, oipBody } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { example, startServer, until, type TestServer } from "../support/server.ts";

const COLUMNS = ["sepal length", "sepal width", "petal length", "petal width"];
const rows = heldOutRows("iris").map(({ features }) => features);

const POLICY = {
  model: "iris",
  rollout: {
    canary: { steps: [{ weight: "50%", until: { requests: 800, time: "4s" } }] },
    bake: "1s",
  },
  analysis: {
    flush: "250ms",
    early: false,
    metrics: { latency: { off: true }, drift: { off: true }, inputDrift: {} },
  },
};

let server: TestServer;

async function upload(bytes: Uint8Array<ArrayBuffer>) {
  return (await server.client.upload(bytes)).digest;
}

beforeAll(async () => {
  server = await startServer();
  const csv = [COLUMNS.join(","), ...Array.from({ length: 30 }, () => rows).flat()].join("\n");
  const reference = { digest: await upload(new TextEncoder().encode(csv)), format: "csv" as const };
  for (const [name, file] of [
    ["v1.0", "v1.0"],
    ["v1.1", "v1.1"],
    ["v1.2", "v1.0"],
  ] as const) {
    const digest = await upload(new Uint8Array(readFileSync(example(`iris/${file}.onnx`))));
    const files = [{ path: "model.onnx", digest }];
    // The first one has none: the candidates bring their own.
    const own = name === "v1.0" ? null : reference;
    await server.client.register("iris", { name, files, reference: own, actor: TESTER.actor });
  }
  await server.client.deploy({ ...TESTER, reference: "iris@v1.0", endpoint: ENDPOINT });
  await server.client.applyPolicy(ENDPOINT, { ...TESTER, policy: POLICY });
}, 120_000);

afterAll(() => server.destroy());

/** Rolls a version out while callers ask these; what was said of the inputs, and how it ended. */
async function roll(version: string, asked: readonly (readonly number[])[]) {
  const load = new Load({
    url: `${server.serveUrl}/v2/models/${ENDPOINT}/infer`,
    bodies: asked.map((row) => oipBody(row)),
    concurrency: 8,
    pauseMs: 10,
  });
  let last: Assessment["metrics"][number] | undefined;
  try {
    const { notes } = await server.client.deploy({ ...TESTER, reference: `iris@${version}` });
    expect(notes.filter((note) => note.includes("inputs"))).toEqual([]);
    const phase = await until(
      "the rollout is over",
      async () => {
        const { assessment } = await server.client.rollout(ENDPOINT);
        last = assessment?.metrics.find(({ name }) => name === "inputDrift") ?? last;
        const { lastRollout } = await server.client.endpoint(ENDPOINT);
        return lastRollout?.to.version === version ? lastRollout.phase : null;
      },
      90_000,
    );
    return { phase, inputs: last };
  } finally {
    await load.stop();
  }
}

test("callers who ask what the reference set holds are no news", async () => {
  const { phase, inputs } = await roll("v1.1", rows);
  expect(phase).toBe("Succeeded");
  expect(inputs).toMatchObject({ verdict: "inconclusive", action: "report", weight: 0 });
  expect(inputs?.candidate.observations).toBeGreaterThan(500);
  expect(inputs?.features?.some(({ shifted }) => shifted)).toBe(false);
}, 150_000);

test("callers who ask in other units are reported by the feature's name, and nothing goes back", async () => {
  const { phase, inputs } = await roll(
    "v1.2",
    rows.map((row) => row.map((value, at) => (at === 2 ? value * 10 : value))),
  );
  expect(phase).toBe("Succeeded");
  expect(inputs).toMatchObject({ verdict: "fail", action: "report" });
  const shifted = inputs?.features?.filter((feature) => feature.shifted) ?? [];
  expect(shifted.map(({ name }) => name)).toEqual(["petal length"]);
  expect(inputs?.words).toMatch(/^petal length above 6\.\d: \d+ % of inputs, reference 0 %/);
}, 150_000);
