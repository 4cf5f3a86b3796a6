import type { TestServer } from "../test/support/server.ts";
import { Load } from "./load/load.ts";
import { quantile, rounded, sleep } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";
import { inferUrl, irisBodies, irisServer } from "./servers.ts";

const BASE = { reason: "bench", actor: "bench" } as const;
const CONNECTIONS = 16;
const PAUSE_MS = 20;
/** A rollout that does not end within this time was not caught, ms. */
const CAUGHT_WITHIN_MS = 60_000;

/** The updates of examples/ that answer some requests with an error. */
const BROKEN = ["throws", "nan"] as const;

interface Canary {
  readonly fallback: boolean;
  readonly broken: string;
  /** Failed responses that callers saw. */
  readonly hurt: number;
  /** Failures of the candidate, seen or answered by stable. */
  readonly failed: number;
  readonly requests: number;
  readonly caughtMs: number;
}

function policyOf(fallback: boolean): Record<string, unknown> {
  const until = { requests: 10_000, time: "10m" };
  return {
    model: "iris",
    rollout: { canary: { steps: [{ weight: "10%", until }] }, bake: "10m" },
    rollback: { fallback, cooldown: "0", atMost: "1000 per 1h" },
  };
}

/** One canary of a broken version, from its deploy until it is back. */
async function canary(
  server: TestServer,
  { broken, fallback }: { readonly broken: string; readonly fallback: boolean },
): Promise<Canary> {
  const load = new Load({
    url: inferUrl(server),
    bodies: irisBodies(),
    connections: CONNECTIONS,
    pauseMs: PAUSE_MS,
  });
  await sleep(500);
  const before = load.failed;
  const startedAt = performance.now();
  const { rollout } = await server.client.deploy({
    ...BASE,
    reference: `iris@v2.0-${broken}`,
    force: true,
  });
  for (;;) {
    const { lastRollout, name } = await server.client.endpoint("iris-prod");
    if (lastRollout?.id === rollout?.id && lastRollout !== null) {
      if (lastRollout.phase !== "RolledBack")
        throw new Error(`${broken} ended as ${lastRollout.phase} at ${name}`);
      break;
    }
    if (performance.now() - startedAt > CAUGHT_WITHIN_MS)
      throw new Error(`${broken} was not caught within ${CAUGHT_WITHIN_MS} ms`);
    await sleep(50);
  }
  const caughtMs = performance.now() - startedAt;
  await sleep(200);
  const hurt = load.failed - before;
  await load.stop();
  const { revisions } = await server.client.endpoint("iris-prod");
  const candidate = revisions.at(-1);
  return {
    fallback,
    broken,
    hurt,
    failed: candidate?.errors ?? 0,
    requests: candidate?.requests ?? 0,
    caughtMs,
  };
}

function row(all: readonly Canary[], broken: string, fallback: boolean): (string | number)[] {
  const found = all.filter((each) => each.broken === broken && each.fallback === fallback);
  const middle = (of: (each: Canary) => number): number =>
    quantile(
      found.map((each) => of(each)),
      0.5,
    );
  return [
    `v2.0-${broken}`,
    fallback ? "with fallback" : "without",
    rounded(
      middle((each) => each.hurt),
      0,
    ),
    Math.max(...found.map(({ hurt }) => hurt)),
    rounded(
      middle((each) => each.failed),
      0,
    ),
    rounded(
      middle((each) => each.requests),
      0,
    ),
    rounded(middle((each) => each.caughtMs) / 1_000, 1),
  ];
}

/** Failed responses that callers see in a canary that goes back by itself, with and without fallback. */
export async function usersHurt({ dist, effort, say }: BenchContext): Promise<BenchResult> {
  const rounds = { quick: 2, normal: 10, full: 30 }[effort];
  const server = await irisServer(dist);
  const all: Canary[] = [];
  try {
    for (const broken of BROKEN)
      await server.register("iris", `v2.0-${broken}`, `iris/v2.0-${broken}.onnx`);
    // Interleaved, so that a busy moment of the machine hurts both alike.
    for (let round = 1; round <= rounds; round += 1)
      for (const fallback of [true, false]) {
        await server.client.applyPolicy("iris-prod", { ...BASE, policy: policyOf(fallback) });
        for (const broken of BROKEN) {
          say(`users hurt: round ${round} of ${rounds}, ${broken}, fallback ${String(fallback)}`);
          all.push(await canary(server, { broken, fallback }));
        }
      }
  } finally {
    await server.destroy();
  }
  const seen = all.filter(({ fallback }) => fallback).reduce((sum, { hurt }) => sum + hurt, 0);
  return {
    title: "Users hurt: failed responses that callers saw in a canary that was sent back",
    method: `${rounds} canaries of 10 % each, default metrics, ${CONNECTIONS} connections with pauses of ${PAUSE_MS} ms; medians but for the most`,
    columns: [
      "version",
      "",
      "hurt",
      "hurt at most",
      "candidate failed",
      "given to it",
      "s to be back",
    ],
    rows: BROKEN.flatMap((broken) => [row(all, broken, true), row(all, broken, false)]),
    goals: [
      {
        what: "failed responses with fallback",
        goal: "0",
        measured: String(seen),
        met: seen === 0,
      },
    ],
    notes: [],
    data: all,
  };
}
