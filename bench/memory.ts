import type { TestServer } from "../test/support/server.ts";
import { Load } from "./load/load.ts";
import { rounded, rssMb, slope, sleep } from "./measure.ts";
import { sparkline, type BenchContext, type BenchResult } from "./report.ts";
import { inferUrl, irisBodies, irisServer } from "./servers.ts";

const EVERY = 25;
/** Caches and the heap grow into their size in the beginning; the slope is taken after it. */
const WARM_SWITCHES = 200;
/** Before the first sample: full load, as it is what the heaps of the workers grow to. */
const WARM_MS = { quick: 2_000, normal: 6_000, full: 6_000 } as const;
const BASE = { reason: "bench", actor: "bench" } as const;

interface Sample {
  readonly switches: number;
  readonly control: number;
  readonly gateway: number;
  /** Sum over model processes. */
  readonly models: number;
  readonly modelProcesses: number;
}

function rssOf(pids: readonly number[]): number {
  return pids.reduce((total, pid) => total + rssMb(pid), 0);
}

function sample(server: TestServer, switches: number): Sample {
  const { control, gateway, models } = server.pids;
  return {
    switches,
    control: rssOf(control),
    gateway: rssOf(gateway),
    models: rssOf(models),
    modelProcesses: models.length,
  };
}

/** Resident memory over hundreds of switches under load. */
export async function memory({ effort, dist, say }: BenchContext): Promise<BenchResult> {
  const switches = { quick: 100, normal: 500, full: 1_000 }[effort];
  const samples: Sample[] = [];
  const server = await irisServer(dist);
  let failed = 0;
  try {
    const warm = new Load({ url: inferUrl(server), bodies: irisBodies(), connections: 64 });
    await sleep(WARM_MS[effort]);
    await warm.stop();
    const load = new Load({
      url: inferUrl(server),
      bodies: irisBodies(),
      connections: 16,
      pauseMs: 10,
    });
    await sleep(1_000);
    samples.push(sample(server, 0));
    for (let done = 2; done <= switches; done += 2) {
      await server.client.deploy({ ...BASE, reference: "iris@v1.1", force: true });
      const back = await server.client.rollback({ ...BASE, again: true });
      failed += back.failedRequests ?? 0;
      if (done % EVERY < 2) {
        say(`memory: ${done} of ${switches} switches`);
        samples.push(sample(server, done));
      }
    }
    const failures = await load.stop();
    failed += failures.reduce((sum, [, count]) => sum + count, 0);
  } finally {
    await server.destroy();
  }
  const settled = samples.filter((each) => each.switches >= Math.min(WARM_SWITCHES, switches / 2));
  const roles = ["gateway", "control", "models"] as const;
  const slopes = roles.map((role) => ({
    role,
    mbPer100: 100 * slope(settled.map((each) => ({ x: each.switches, y: each[role] }))),
  }));
  const steepest = Math.max(...slopes.map(({ mbPer100 }) => mbPer100));
  return {
    title: "Memory over switches",
    method: `${switches} switches (deploy, rollback, …) under load, after full load; resident MB every ${EVERY}; slope by least squares after the first ${Math.min(WARM_SWITCHES, switches / 2)}`,
    columns: ["", "at first", "at last", "most", "MB per 100 switches", "curve"],
    rows: slopes.map(({ role, mbPer100 }) => {
      const curve = samples.map((each) => each[role]);
      return [
        role === "models" ? `models (${samples.at(-1)?.modelProcesses} processes)` : role,
        rounded(curve[0] ?? NaN, 0),
        rounded(curve.at(-1) ?? NaN, 0),
        rounded(Math.max(...curve), 0),
        rounded(mbPer100, 2),
        sparkline(curve),
      ];
    }),
    goals: [
      {
        what: "steepest slope",
        goal: "flat: < 5 MB per 100 switches",
        measured: `${rounded(steepest, 2)} MB per 100 switches`,
        met: steepest < 5,
      },
      { what: "failed requests", goal: "0", measured: String(failed), met: failed === 0 },
    ],
    notes: [],
    data: { samples, slopes },
  };
}
