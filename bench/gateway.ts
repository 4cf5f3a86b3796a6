import { example } from "../test/support/server.ts";
import { build } from "../tools/build.ts";
import { Load, type Window } from "./load/load.ts";
import { median, rounded, sleep } from "./measure.ts";
import { recordingCost, type RecordingCost } from "./recording.ts";
import type { BenchContext, BenchResult, Goal } from "./report.ts";
import {
  ask,
  benchFile,
  inferUrl,
  irisBodies,
  irisServer,
  runProgram,
  servingPids,
  startPeer,
  type PeerServer,
} from "./servers.ts";

const CONNECTIONS = 64;
const MODEL = "iris/v1.0.onnx";
const OURS = "lastgood, 1 worker";
const ALONE = "lastgood without batching";
const MUTE = "lastgood without recording";
const FASTAPI = "FastAPI + onnxruntime";
const CONSTANT = "node:http, a constant";
const UNREAD = "node:http, a constant, body not read";
/** The bare model varies little: a few rounds of it are enough. */
const BARE_ROUNDS = 5;
/** Until the compiler has seen enough: requests, and for how long at the most, ms. */
const WARM = { quick: [15_000, 4_000], normal: [40_000, 15_000], full: [60_000, 20_000] } as const;

/** One thing that answers requests, and what it answered in each round. */
interface Subject {
  readonly name: string;
  readonly url: string;
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly pids: () => readonly number[];
  readonly windows: Window[];
}

interface Running {
  readonly subjects: readonly Subject[];
  readonly missing: readonly string[];
  stop(): Promise<void>;
}

/** Bundles with one mechanism taken out, beside the ones that are measured. */
async function variants(dist: string): Promise<{ readonly alone: string; readonly mute: string }> {
  const alone = `${dist}-without-batching`;
  const mute = `${dist}-without-recording`;
  await build({
    outdir: alone,
    replace: [
      { module: "src/serving/runtime-onnx/request-queue.ts", by: "bench/without/batching.ts" },
    ],
  });
  await build({
    outdir: mute,
    replace: [
      { module: "src/serving/gateway/count-book.ts", by: "bench/without/counts.ts" },
      { module: "src/link/request-id/request-id.ts", by: "bench/without/request-ids.ts" },
      { module: "src/serving/gateway/evidence-book.ts", by: "bench/without/evidence.ts" },
    ],
  });
  return { alone, mute };
}

function fastApi(model: string): Promise<PeerServer | null> {
  return startPeer(
    process.env["BENCH_PYTHON"] ?? "python3",
    () => [benchFile("peers/app/fastapi/serve.py")],
    "/v2/models/iris/infer",
    { MODEL: model },
  );
}

async function start({ dist, say }: BenchContext): Promise<Running> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(stops.map((each) => each()));
  };
  const subjects: Subject[] = [];
  const missing: string[] = [];
  const add = (
    subject: Omit<Subject, "windows" | "connections" | "bodies"> & Partial<Subject>,
  ): void => {
    subjects.push({ connections: CONNECTIONS, bodies, windows: [], ...subject });
  };
  const bodies = irisBodies();
  const own = async (name: string, from: string, args: readonly string[]): Promise<string> => {
    say(`starting ${name}`);
    const server = await irisServer(from, args);
    stops.push(() => server.destroy());
    add({ name, url: inferUrl(server), pids: () => servingPids(server) });
    return inferUrl(server);
  };
  const peer = (name: string, started: PeerServer | null, more: Partial<Subject> = {}): void => {
    if (started === null) {
      missing.push(name);
      return;
    }
    stops.push(() => started.stop());
    add({ name, url: started.url, pids: () => started.pids, ...more });
  };
  try {
    const { alone, mute } = await variants(dist);
    const url = await own(OURS, dist, ["--workers", "1"]);
    const single = subjects[0];
    if (single === undefined) throw new Error("the first subject is missing");
    const answer = await ask(url, bodies[0] ?? null);
    const constant = await startPeer(
      process.execPath,
      (port) => [benchFile("peer/constant.ts"), String(port), answer],
      "/read",
    );
    peer(CONSTANT, constant);
    if (constant !== null)
      add({
        name: UNREAD,
        url: constant.url.replace("/read", "/unread"),
        pids: () => constant.pids,
      });
    await own("lastgood, 2 workers", dist, ["--workers", "2"]);
    await own(ALONE, alone, ["--workers", "1"]);
    await own(MUTE, mute, ["--workers", "1"]);
    add({ name: "lastgood, 1 connection", url, pids: single.pids, connections: 1 });
    const model = example(MODEL);
    const oneByOne = [benchFile("peer/one-by-one.ts")];
    peer(
      "node:http + onnxruntime-node",
      await startPeer(process.execPath, (port) => [...oneByOne, String(port), model], "/"),
    );
    peer(FASTAPI, await fastApi(model));
    return { subjects, missing, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function round(subject: Subject, ms: number): Promise<void> {
  const { url, bodies, connections, pids, windows } = subject;
  const load = new Load({ url, bodies, connections });
  await sleep(ms / 4);
  windows.push(await load.watch(pids(), ms));
  const failures = await load.stop();
  if (failures.length > 0) throw new Error(`${subject.name}: ${JSON.stringify(failures[0])}`);
}

async function warmUp(
  { url, bodies, connections }: Subject,
  [requests, ms]: readonly [number, number],
): Promise<void> {
  const load = new Load({ url, bodies, connections });
  const endsAt = performance.now() + ms;
  while (load.answered < requests && performance.now() < endsAt) await sleep(50);
  await load.stop();
}

/** CPU of the bare model per row, in a process that does nothing else. */
async function bareModel(
  rowsPerRun: number,
  ms: number,
): Promise<{ cpuUs: number; rowsPerS: number }> {
  const { stdout } = await runProgram(process.execPath, [
    benchFile("peer/no-server.ts"),
    example(MODEL),
    String(rowsPerRun),
    String(ms),
    "[5.1,3.5,1.4,0.2]",
  ]);
  return JSON.parse(stdout) as { cpuUs: number; rowsPerS: number };
}

interface Summary {
  readonly requestsPerS: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

function summary(windows: readonly Window[]): Summary {
  const of = (field: keyof Window): number => median(windows.map((window) => window[field]));
  return {
    requestsPerS: of("requestsPerS"),
    cpuUs: of("cpuUs"),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
  };
}

/** Ratio of two subjects, the median over rounds, each ratio from the same round; NaN without one. */
function ratioOf(
  one: Subject | undefined,
  other: Subject | undefined,
  field: "cpuUs" | "requestsPerS",
): number {
  if (one === undefined || other === undefined) return NaN;
  return median(
    one.windows.map((window, at) => window[field] / (other.windows[at]?.[field] ?? NaN)),
  );
}

function ratioGoal(what: string, ratio: number, least: number): Goal {
  const isMissing = Number.isNaN(ratio);
  return {
    what,
    goal: `≥ ${least} ×`,
    measured: isMissing ? "the peer is missing" : `${rounded(ratio, 2)} ×`,
    met: isMissing ? null : ratio >= least,
  };
}

interface Found {
  readonly running: Running;
  readonly bare: { readonly one: readonly number[]; readonly tick: readonly number[] };
  readonly recording: RecordingCost;
}

function subjectOf({ running }: Found, name: string): Subject | undefined {
  return running.subjects.find((each) => each.name === name);
}

function goalsOf(found: Found): readonly Goal[] {
  const ours = subjectOf(found, OURS);
  const byCpu = (name: string): number => ratioOf(subjectOf(found, name), ours, "cpuUs");
  const { single, sticky, canary, watched, watchedSticky } = found.recording;
  const { cpuUs } = summary(ours?.windows ?? []);
  const share = single / cpuUs;
  const watchedShare = watched / cpuUs;
  return [
    ratioGoal("predict path against a constant by node:http, by CPU", byCpu(CONSTANT), 0.6),
    ratioGoal("the same against a constant that does not read the body", byCpu(UNREAD), 0.6),
    ratioGoal("requests per CPU against FastAPI + onnxruntime", byCpu(FASTAPI), 8),
    {
      what: "routing and recording, share of the CPU",
      goal: "< 10 %",
      measured: `${rounded(share * 100, 1)} % (${rounded(single, 2)} µs by themselves; ${rounded(sticky, 2)} µs in a canary with sticky keys)`,
      met: share < 0.1,
    },
    {
      what: "the same while a rollout is under watch",
      goal: "< 10 %",
      measured: `${rounded(watchedShare * 100, 1)} % (${rounded(watched, 2)} µs by themselves, ${rounded(canary, 2)} µs without the watch; ${rounded(watchedSticky, 2)} µs with sticky keys)`,
      met: watchedShare < 0.1,
    },
  ];
}

function notesOf(found: Found): readonly string[] {
  const ours = subjectOf(found, OURS);
  const alone = subjectOf(found, ALONE);
  const mute = ratioOf(subjectOf(found, MUTE), ours, "cpuUs");
  return [
    `batching: without it ${rounded(ratioOf(alone, ours, "cpuUs"), 2)} × the CPU per request; with it ${rounded(ratioOf(ours, alone, "requestsPerS"), 2)} × the requests/s`,
    `recording: built without counts, evidence and request ids it takes ${rounded(mute, 2)} × the CPU (what is below 1 is theirs, above 1 is noise)`,
    "without batching, without recording: the same sources built with that one mechanism replaced (bench/without)",
    "the load generator shares the machine's cores: compare CPU per request rather than requests/s",
  ];
}

function rowsOf(found: Found): BenchResult["rows"] {
  const { running, bare } = found;
  const yardstick = subjectOf(found, CONSTANT);
  return [
    ...running.subjects.map((subject) => {
      const { requestsPerS, cpuUs, p50Ms, p99Ms } = summary(subject.windows);
      return [
        subject.name,
        Math.round(requestsPerS),
        rounded(cpuUs, 1),
        `${rounded(ratioOf(yardstick, subject, "cpuUs"), 2)} ×`,
        rounded(p50Ms, 2),
        rounded(p99Ms, 2),
      ];
    }),
    ["the model alone, 1 row per run", "", rounded(median(bare.one), 1), "", "", ""],
    [`the model alone, ${CONNECTIONS} rows per run`, "", rounded(median(bare.tick), 2), "", "", ""],
    ...running.missing.map((name) => [name, "missing", "", "", "", ""]),
  ];
}

async function measure(context: BenchContext, rounds: number, ms: number): Promise<Found> {
  const running = await start(context);
  const { subjects } = running;
  const bare: { one: number[]; tick: number[] } = { one: [], tick: [] };
  try {
    context.say("gateway: warming up");
    for (const subject of subjects) await warmUp(subject, WARM[context.effort]);
    for (let number = 1; number <= rounds; number += 1) {
      context.say(`gateway: round ${number} of ${rounds}`);
      // Forwards and backwards in turn: what drifts meanwhile then touches all alike.
      for (const subject of number % 2 === 0 ? subjects.toReversed() : subjects)
        await round(subject, ms);
      if (number > BARE_ROUNDS) continue;
      bare.one.push((await bareModel(1, ms)).cpuUs);
      bare.tick.push((await bareModel(CONNECTIONS, ms)).cpuUs);
    }
  } finally {
    await running.stop();
  }
  return { running, bare, recording: recordingCost() };
}

/** Throughput and CPU per request of the predict path beside what it could be compared with. */
export async function gateway(context: BenchContext): Promise<BenchResult> {
  const rounds = { quick: 5, normal: 15, full: 25 }[context.effort];
  const ms = { quick: 500, normal: 900, full: 1_200 }[context.effort];
  const found = await measure(context, rounds, ms);
  const { running, bare, recording } = found;
  return {
    title: "Gateway: one row of iris per request",
    method: `${CONNECTIONS} keep-alive connections, ${rounds} interleaved rounds of ${ms} ms after a warm-up, medians; CPU of gateway and model processes from /proc`,
    columns: ["", "requests/s", "CPU µs/request", "constant ÷ it, by CPU", "p50 ms", "p99 ms"],
    rows: rowsOf(found),
    goals: goalsOf(found),
    notes: notesOf(found),
    data: {
      recordingUs: recording,
      subjects: running.subjects.map(({ name, windows }) => ({
        name,
        ...summary(windows),
        windows,
      })),
      bareModelCpuUs: { rowsPerRun1: bare.one, rowsPerRun64: bare.tick },
      missing: running.missing,
    },
  };
}
