import { join } from "node:path";

import type { BenchContext, BenchResult } from "../report.ts";
import { irisBodies } from "../servers.ts";
import { LOAD_CORE } from "./core.ts";
import { PASSED, passThroughSubject, REMOTE, remoteSubject } from "./lastgood-subjects.ts";
import { PROXIES, proxyProgram } from "./proxy-programs.ts";
import {
  COLUMNS,
  measureRounds,
  ratioGoal,
  ratioOf,
  ratioShown,
  rowOf,
  type Measured,
} from "./rounds.ts";
import { firstAnswer, startProgram, type Found, type Running, type Subject } from "./subject.ts";

const INFER = "/v2/models/iris/infer";
const APPS = join(import.meta.dirname, "app");

function proxySubject(name: string, upstream: URL, work: string): Found {
  const found = proxyProgram(name, work);
  if ("missing" in found) return { name, missing: found.missing };
  const start = (): Promise<Running> => startProgram(found.before(upstream, INFER));
  return { name, bodies: irisBodies(), start };
}

async function startUpstream(): Promise<Running> {
  const running = await startProgram({
    command: process.execPath,
    args: (port) => [join(APPS, "upstream.ts"), String(port)],
    path: INFER,
    core: LOAD_CORE,
  });
  const bodies = irisBodies();
  await firstAnswer(
    { name: "upstream", bodies, start: async () => running },
    running,
    performance.now(),
  );
  return running;
}

function cpuUs({ many }: Measured["rounds"][number]): number {
  return many.cpuUs;
}

/** Passing through and the `remote` runtime beside proxies that know nothing of models, before the same server. */
export async function proxies(context: BenchContext, work: string): Promise<BenchResult> {
  const upstream = await startUpstream();
  try {
    const url = new URL(upstream.url);
    const found: readonly Found[] = [
      await passThroughSubject(context.dist, url.origin),
      await remoteSubject(context.dist, url.origin),
      ...PROXIES.map((name) => proxySubject(name, url, work)),
    ];
    const absent = found.flatMap((each) => ("missing" in each ? [each] : []));
    const subjects = found.filter((each): each is Subject => !("missing" in each));
    const { measured, missing } = await measureRounds(subjects, context);
    const named = (name: string): Measured | undefined =>
      measured.find((each) => each.name === name);
    const against = (proxy: string, ours: string): number =>
      ratioOf(named(proxy), named(ours), cpuUs);
    return {
      title: "Proxies before the same server",
      method:
        "a server of the Open Inference Protocol that answers a constant, on the load generator's core; 32 connections, then 1; CPU of the proxy",
      columns: COLUMNS,
      rows: measured.map(rowOf),
      goals: [
        ratioGoal("pass-through against haproxy, by CPU", against("haproxy", PASSED), 0.5),
        ratioShown("pass-through against nginx, by CPU", against("nginx", PASSED)),
        ratioShown("remote against haproxy, by CPU", against("haproxy", REMOTE)),
        ratioShown("remote against nginx, by CPU", against("nginx", REMOTE)),
      ],
      notes: [
        ...[...absent, ...missing].map(({ name, missing: why }) => `missing: ${name}: ${why}`),
        "lastgood, remote reads, checks and writes every tensor; pass-through and the proxies pass bytes on",
        "requests per second are bounded by the server behind and the load generator, which share a core",
      ],
      data: { measured, missing: [...absent, ...missing] },
    };
  } finally {
    await upstream.stop();
  }
}
