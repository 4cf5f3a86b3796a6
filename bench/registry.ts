import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { parseVersionName } from "../src/core/version/index.ts";
import { openLocalArtifacts } from "../src/storage/artifacts/index.ts";
import { openSqliteStore } from "../src/storage/store/index.ts";
import type { TestServer } from "../test/support/server.ts";
import { median, quantile, rounded } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";
import { ask, irisServer } from "./servers.ts";

interface Read {
  readonly name: string;
  readonly run: (server: TestServer, versions: number) => Promise<unknown>;
}

interface Subject {
  readonly versions: number;
  readonly server: TestServer;
  readonly seedMs: number;
  readonly startMs: number;
  readonly ms: Map<string, number[]>;
}

const BATCH = 1_000;

const READS: readonly Read[] = [
  {
    name: "GET a version by name (one in the middle)",
    run: (server, versions) =>
      ask(`${server.apiUrl}/api/v1/models/iris/versions/b${Math.max(3, versions >> 1)}.0`, null),
  },
  {
    name: "GET a version by number (the newest)",
    run: (server, versions) =>
      ask(`${server.apiUrl}/api/v1/models/iris/versions/${versions}`, null),
  },
  {
    name: "list 50 versions (from the middle)",
    run: (server, versions) =>
      ask(`${server.apiUrl}/api/v1/models/iris/versions?after=${versions >> 1}&limit=50`, null),
  },
  {
    name: "rollback --dry-run",
    run: (server) =>
      server.client.rollback({ actor: "bench", reason: null, dryRun: true, again: true }),
  },
  { name: "status", run: (server) => ask(`${server.apiUrl}/api/v1/status`, null) },
];

/** Fills the registry through the store: copies of v1.1's manifest under other names. */
async function seed(server: TestServer, versions: number): Promise<number> {
  const startedAt = performance.now();
  const store = await openSqliteStore({ path: join(server.dataDir, "store.sqlite") });
  const artifacts = await openLocalArtifacts(server.dataDir);
  const manifest = await store.versions.manifest("iris", 2);
  const record = await store.versions.bySequence("iris", 2);
  if (manifest === null || record === null) throw new Error("iris has no second version");
  for (let from = 3; from <= versions; from += BATCH) {
    const numbers = Array.from(
      { length: Math.min(BATCH, versions - from + 1) },
      (_, index) => from + index,
    );
    const copies = numbers.map((sequence) => ({
      ...manifest,
      sequence,
      name: parseVersionName(`b${sequence}.0`),
    }));
    await store.transaction(async ({ versions: rows }) => {
      for (const copy of copies) await rows.insert({ manifest: copy, digest: record.digest });
    });
    await Promise.all(copies.map((copy) => artifacts.manifests.write(copy)));
  }
  await store.close();
  return performance.now() - startedAt;
}

async function prepare({ dist, say }: BenchContext, versions: number): Promise<Subject> {
  say(`registry: ${versions} versions`);
  const server = await irisServer(dist);
  try {
    await server.json(["deploy", "iris@v1.1", "--bake", "0s"]);
    await server.terminate();
    mkdirSync(server.dataDir, { recursive: true });
    const seedMs = await seed(server, versions);
    const startedAt = performance.now();
    await server.start();
    const startMs = performance.now() - startedAt;
    return { versions, server, seedMs, startMs, ms: new Map() };
  } catch (error) {
    await server.destroy();
    throw error;
  }
}

async function measureAll(subjects: readonly Subject[], rounds: number): Promise<void> {
  for (let round = -5; round < rounds; round += 1) {
    for (const { name, run } of READS) {
      for (const { server, versions, ms } of subjects) {
        const startedAt = performance.now();
        await run(server, versions);
        const tookMs = performance.now() - startedAt;
        if (round < 0) continue;
        const taken = ms.get(name);
        if (taken === undefined) ms.set(name, [tookMs]);
        else taken.push(tookMs);
      }
    }
  }
}

/** Whether reads of the registry stay as fast when it has grown. */
export async function registry(context: BenchContext): Promise<BenchResult> {
  const sizes = context.effort === "full" ? [100, 10_000, 100_000] : [100, 10_000];
  const rounds = { quick: 40, normal: 200, full: 400 }[context.effort];
  const subjects: Subject[] = [];
  try {
    for (const versions of sizes) subjects.push(await prepare(context, versions));
    context.say(`registry: ${rounds} interleaved rounds`);
    await measureAll(subjects, rounds);
  } finally {
    await Promise.all(subjects.map(({ server }) => server.destroy()));
  }
  const [small] = subjects;
  const p50 = (subject: Subject | undefined, name: string): number =>
    median(subject?.ms.get(name) ?? []);
  const worst = Math.max(
    ...READS.flatMap(({ name }) =>
      subjects.slice(1).map((subject) => p50(subject, name) / p50(small, name)),
    ),
  );
  return {
    title: "Registry reads",
    method: `over the API, ${rounds} interleaved rounds; p50 (p99) in ms and the ratio of the p50 to that with 100 versions`,
    columns: [
      "",
      ...sizes.map((size) => `${size} versions`),
      ...sizes.slice(1).map((size) => `${size} ÷ 100`),
    ],
    rows: [
      ...READS.map(({ name }) => [
        name,
        ...subjects.map(
          (subject) =>
            `${rounded(p50(subject, name), 2)} (${rounded(quantile(subject.ms.get(name) ?? [], 0.99), 2)})`,
        ),
        ...subjects.slice(1).map((subject) => rounded(p50(subject, name) / p50(small, name), 2)),
      ]),
      [
        "start of the server on it",
        ...subjects.map(({ startMs }) => rounded(startMs, 0)),
        ...subjects.slice(1).map(({ startMs }) => rounded(startMs / (small?.startMs ?? NaN), 2)),
      ],
    ],
    goals: [
      {
        what: "slowest ratio of a read",
        goal: "flat: < 1.5 ×",
        measured: `${rounded(worst, 2)} ×`,
        met: worst < 1.5,
      },
    ],
    notes: ["a rollback looks at the newest 200 versions and those the endpoint has served"],
    data: subjects.map(({ versions, seedMs, startMs, ms }) => ({
      versions,
      seedMs,
      startMs,
      reads: Object.fromEntries(ms),
    })),
  };
}
