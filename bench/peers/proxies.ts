import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { BenchContext, BenchResult, Goal } from "../report.ts";
import { irisBodies } from "../servers.ts";
import { LOAD_CORE } from "./core.ts";
import { PASSED, passThroughSubject, REMOTE, remoteSubject } from "./lastgood-subjects.ts";
import { COLUMNS, measureRounds, ratioGoal, ratioOf, rowOf, type Measured } from "./rounds.ts";
import {
  firstAnswer,
  startProgram,
  type Found,
  type Program,
  type Running,
  type Subject,
} from "./subject.ts";

const INFER = "/v2/models/iris/infer";
const APPS = join(import.meta.dirname, "app");

interface Proxy {
  readonly name: string;
  readonly config: string;
  readonly args: (config: string, folder: string) => readonly string[];
}

const PROXIES: readonly Proxy[] = [
  { name: "haproxy", config: "haproxy.cfg", args: (config) => ["-db", "-f", config] },
  {
    name: "nginx",
    config: "nginx.conf",
    args: (config, folder) => ["-e", "stderr", "-p", folder, "-c", config],
  },
];

function isInstalled(command: string): boolean {
  return spawnSync(command, ["-v"], { stdio: "ignore" }).error === undefined;
}

/** Debian has them where only root's path looks. */
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin`;

function proxySubject({ name, config, args }: Proxy, upstream: URL, work: string): Found {
  process.env["PATH"] = PATH;
  if (!isInstalled(name)) return { name, missing: `${name} is not installed` };
  const folder = join(work, name);
  const program = (): Program => ({
    command: name,
    args: (port) => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      const path = join(folder, config);
      const text = readFileSync(join(APPS, config), "utf8")
        .replaceAll("FOLDER", folder)
        .replaceAll("UPSTREAM", upstream.host)
        .replaceAll("PORT", String(port));
      writeFileSync(path, text);
      return args(path, folder);
    },
    path: INFER,
  });
  return { name, bodies: irisBodies(), start: () => startProgram(program()) };
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

/** A ratio that no goal was set for. */
function shown(text: string, ratio: number): Goal {
  return { ...ratioGoal(text, ratio, 0), met: null };
}

/** Passing through and the `remote` runtime beside proxies that know nothing of models, before the same server. */
export async function proxies(context: BenchContext, work: string): Promise<BenchResult> {
  const upstream = await startUpstream();
  try {
    const url = new URL(upstream.url);
    const found = [
      await passThroughSubject(context.dist, url.origin),
      await remoteSubject(context.dist, url.origin),
      ...PROXIES.map((proxy) => proxySubject(proxy, url, work)),
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
        shown("pass-through against nginx, by CPU", against("nginx", PASSED)),
        shown("remote against haproxy, by CPU", against("haproxy", REMOTE)),
        shown("remote against nginx, by CPU", against("nginx", REMOTE)),
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
