/**
 * The A/A gate: the same model under two names, at 1, 10 and 50 %, with a bake, under the metrics that
 * are watched by default, with labels, while others compete for the cores. Nothing is worse than itself:
 * nothing goes back. `AA_RUNS` says how often (100 in `npm run soak`).
 */
import { afterAll, beforeAll, expect, test } from "vitest";

import type { RolloutView } from "../../src/core/api/index.ts";
import { BusyCores } from "../support/busy-cores.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  LateLabels,
  quickAnalysis,
  runsFrom,
  UnderTraffic,
  type Family,
} from "../support/under-traffic.ts";

const RUNS = runsFrom("AA_RUNS", 10);
/** So many endpoints at once, each with one rollout at a time. */
const ENDPOINTS: readonly Family[] = ["iris", "breast-cancer", "digits", "iris", "digits"];
/** And so many more, whose answers are compared in pairs. */
const PAIRED: readonly Family[] = ["iris", "digits"];

const POLICY = {
  rollout: {
    canary: {
      steps: [
        { weight: "1%", until: { requests: 1, time: "2s" } },
        { weight: "10%", until: { requests: 10, time: "2s" } },
        { weight: "50%", until: { requests: 60, time: "2s" } },
      ],
    },
    bake: "3s",
  },
  analysis: quickAnalysis(),
};
/** All traffic at once, half of it copied to stable: answers are compared in pairs. */
const MIRRORED = {
  rollout: { blueGreen: {}, bake: "8s", holdback: "50%" },
  analysis: quickAnalysis(),
};
/** A hold on the way, which the evidence may take back, is no rollback; it is not waited for for long. */
const LONGEST_MS = 30_000;

let server: TestServer;
let cores: BusyCores;
const endpoints: UnderTraffic[] = [];
const labels: LateLabels[] = [];

beforeAll(async () => {
  server = await startServer();
  for (const [index, family] of [...ENDPOINTS, ...PAIRED].entries()) {
    const on = await UnderTraffic.start(server, `aa-${index}`, {
      family,
      policy: index < ENDPOINTS.length ? POLICY : MIRRORED,
      concurrency: 3,
      pauseMs: 20,
    });
    endpoints.push(on);
    labels.push(new LateLabels(on));
  }
  cores = new BusyCores();
}, 120_000);

afterAll(async () => {
  cores.stop();
  await Promise.all(labels.map((each) => each.stop()));
  await Promise.all(endpoints.map(({ load }) => load.stop()));
  await server.destroy();
});

/** Rolls the same model out under another name; its end, or null where it is still held. */
async function again(on: UnderTraffic, run: number): Promise<RolloutView | null> {
  const version = `v1.1-same-${run}`;
  await on.register(version, `${on.family}/v1.1.onnx`);
  const { rollout } = await on.begin(version, { replace: true });
  return on.endOf(rollout?.id ?? "", LONGEST_MS).catch(() => null);
}

test(
  `${RUNS} rollouts of the same model under another name: none goes back`,
  async () => {
    const ends: (RolloutView | null)[] = [];
    let begun = 0;
    await Promise.all(
      endpoints.map(async (on) => {
        while (begun < RUNS) {
          begun += 1;
          ends.push(await again(on, begun));
        }
      }),
    );
    const back = ends.filter((end) => end !== null && end.phase !== "Succeeded");
    expect(back.map((end) => `${end?.endpoint} ${end?.phase}: ${end?.reason}`)).toEqual([]);
    for (const on of endpoints) expect(await on.decisions()).toEqual([]);
    // The gate would hold as well if nothing ever came to an end, or nothing was compared.
    expect(ends.filter((end) => end !== null).length).toBeGreaterThanOrEqual(0.7 * RUNS);
    expect(Math.min(...labels.map(({ accepted }) => accepted))).toBeGreaterThan(0);
    expect(endpoints.flatMap(({ load }) => load.failures)).toEqual([]);
  },
  120_000 + RUNS * LONGEST_MS,
);
