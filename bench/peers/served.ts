import { rounded } from "../measure.ts";
import type { BenchContext, BenchResult } from "../report.ts";
import {
  managedSubjects,
  MANAGED,
  MANAGED_ALONE,
  NATIVE,
  nativeSubjects,
  SCORING,
} from "./lastgood-subjects.ts";
import { proxyProgram } from "./proxy-programs.ts";
import { FASTAPI, fastapiFolder, MLFLOW, pythonPeers } from "./python-peers.ts";
import {
  COLUMNS,
  measureRounds,
  ratioGoal,
  ratioOf,
  ratioShown,
  rowOf,
  type Measured,
} from "./rounds.ts";
import { firstAnswer, scoringBodies, startProgram, type Found, type Subject } from "./subject.ts";

const PROXY = "haproxy";
const PROXIED = `${PROXY} before ${FASTAPI}`;

function cpuUs({ many }: Measured["rounds"][number]): number {
  return many.cpuUs;
}

function perSecond({ many }: Measured["rounds"][number]): number {
  return many.requestsPerS;
}

/** What a proxy that knows nothing of models leaves of a server whose one core it shares. */
function proxied(server: Found, work: string): Found {
  if ("missing" in server) return { name: PROXIED, missing: server.missing };
  const proxy = proxyProgram(PROXY, work);
  if ("missing" in proxy) return { name: PROXIED, missing: proxy.missing };
  return {
    name: PROXIED,
    bodies: server.bodies,
    start: async () => {
      const behind = await server.start();
      await firstAnswer(server, behind, performance.now());
      const { origin, pathname } = new URL(behind.url);
      const before = await startProgram(proxy.before(new URL(origin), pathname));
      return {
        url: before.url,
        roots: [...behind.roots, ...before.roots],
        stop: async () => {
          await before.stop();
          await behind.stop();
        },
      };
    },
  };
}

async function everything(context: BenchContext, work: string): Promise<readonly Found[]> {
  const { dist, say } = context;
  const fastapi = await fastapiFolder(work, say);
  const managed =
    "missing" in fastapi
      ? [MANAGED, MANAGED_ALONE].map((name) => ({ name, ...fastapi }))
      : await managedSubjects(dist, fastapi);
  const peers = await pythonPeers(work, say);
  return [
    ...(await nativeSubjects(dist, scoringBodies())),
    ...managed,
    ...peers.flatMap((peer) => (peer.name === FASTAPI ? [peer, proxied(peer, work)] : [peer])),
  ];
}

/** The same model and rows served by lastgood and by the servers it is compared with. */
export async function served(context: BenchContext, work: string): Promise<BenchResult> {
  const found = await everything(context, work);
  const absent = found.flatMap((each) => ("missing" in each ? [each] : []));
  const subjects = found.filter((each): each is Subject => !("missing" in each));
  const { measured, missing } = await measureRounds(subjects, context);
  const named = (name: string): Measured | undefined => measured.find((each) => each.name === name);
  const native = named(NATIVE);
  const ratios = measured
    .filter(({ name }) => !name.startsWith("lastgood") && name !== PROXIED)
    .map((peer) => {
      const ours = peer.name === MLFLOW ? named(SCORING) : native;
      return { peer: peer.name, cpu: ratioOf(peer, ours, cpuUs) };
    });
  const kept = ratioOf(named(MANAGED_ALONE), named(FASTAPI), perSecond);
  const shared = ratioOf(named(MANAGED), named(FASTAPI), perSecond);
  const against = (name: string): number => ratios.find(({ peer }) => peer === name)?.cpu ?? NaN;
  return {
    title: "Servers of the same model",
    method:
      "iris, one row per request; 32 connections, then 1; each on one core, the load generator on the other; started anew in each round, in turn; CPU and memory of all their processes",
    columns: COLUMNS,
    rows: measured.map(rowOf),
    goals: [
      ratioGoal("natively, against FastAPI + onnxruntime, by CPU", against(FASTAPI), 8),
      ratioGoal("natively, against mlflow models serve, by CPU", against(MLFLOW), 40),
      ratioGoal("what a managed server keeps of its throughput, on a core of its own", kept, 0.85),
      ratioGoal("the same where we share its one core", shared, 0.85),
      ratioShown(
        `the same with ${PROXY} in our place`,
        ratioOf(named(PROXIED), named(FASTAPI), perSecond),
      ),
    ],
    notes: [
      ...[...absent, ...missing].map(({ name, missing: why }) => `missing: ${name}: ${why}`),
      `CPU of each in that of lastgood: ${ratios.map(({ peer, cpu }) => `${peer} ${rounded(cpu, 1)} ×`).join(", ")}`,
      "rows sent as the Open Inference Protocol has them; to mlflow, and to lastgood beside it, as MLflow scoring",
    ],
    data: { measured, ratios, missing: [...absent, ...missing] },
  };
}
