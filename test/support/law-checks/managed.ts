import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "vitest";

import { floatsRequest, GrpcCaller } from "../grpc-client.ts";
import { Load } from "../load.ts";
import { Managed, managedServers } from "../managed.ts";
import { OwnServer } from "../own-server.ts";
import { startServer, until, type TestServer } from "../server.ts";
import { Stage } from "../stage.ts";
import { quickCanary } from "../under-traffic.ts";

async function onServer(
  dist: string,
  args: (folder: string) => readonly string[],
  check: (server: TestServer) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "lastgood-law-check-"));
  const server = await startServer({ dist, args: args(folder) });
  try {
    await check(server);
  } finally {
    await server.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Managed servers: what a server that died has started is ended, before its successor serves. */
export function checkLeavesNothing(dist: string): Promise<void> {
  return onServer(dist, managedServers, async (server) => {
    const on = await Managed.start(server, "law-forks", { settings: { behaviour: "fork" } });
    await on.load.stop();
    const victim = await on.pidOf(1);
    const before = server.managed.length;
    process.kill(victim, "SIGKILL");
    await until("the replacement is up", async () => (await on.pidOf(1)) !== victim);
    expect(server.managed.length, "managed servers: no child is left over").toBe(before);
  });
}

/** gRPC: the split is that of every other protocol. */
export function checkGrpcSplit(dist: string): Promise<void> {
  return onServer(
    dist,
    () => [],
    async (server) => {
      await server.register("iris", "v1.0", "iris/v1.0.onnx");
      await server.register("iris", "v1.1", "iris/v1.1.onnx");
      const who = { actor: "tester", reason: null } as const;
      await server.client.deploy({ ...who, reference: "iris@v1.0" });
      const canary = { strategy: "canary", weight: 50 } as const;
      await server.client.deploy({ ...who, ...canary, reference: "iris@v1.1" });
      const caller = new GrpcCaller(server.grpcAddress);
      const request = floatsRequest("iris", [4.8, 3, 1.4, 0.1]);
      const versions = new Set<string | undefined>();
      try {
        // Half of them each: that one gets none of 60 happens once in 10^17 times.
        for (let count = 0; count < 60; count += 1)
          versions.add((await caller.infer(request)).headers["x-lastgood-version"]);
      } finally {
        caller.close();
      }
      expect(versions, "gRPC: callers get what the split says").toEqual(new Set(["v1.0", "v1.1"]));
    },
  );
}

/** Pass-through: a status is the evidence. */
export async function checkCountsStatuses(dist: string): Promise<void> {
  const [old, young] = [new OwnServer("old"), new OwnServer("young")];
  await Promise.all([old.start(), young.start()]);
  let count = 0;
  young.behaviour = (_request, response) => {
    response.writeHead(++count % 4 === 0 ? 500 : 200);
    response.end("young");
  };
  const remotes = (folder: string): readonly string[] => {
    const own = { protocol: "passthrough", health: "/health" };
    const config = join(folder, "server.yaml");
    const named = { old: { ...own, url: old.url }, young: { ...own, url: young.url } };
    writeFileSync(config, JSON.stringify({ remotes: named }));
    return ["--config", config];
  };
  try {
    await onServer(dist, remotes, async (server) => {
      expect(await outcome(server), "pass-through: a candidate that answers 500 is sent back").toBe(
        "RolledBack",
      );
    });
  } finally {
    await Promise.all([old.stop(), young.stop()]);
  }
}

/** How the rollout of the server that fails every fourth request ends. */
async function outcome(server: TestServer): Promise<string> {
  const on = new Stage(server, "chat");
  for (const [version, remote] of [
    ["v1.0", "old"],
    ["v1.1", "young"],
  ] as const) {
    const runtime = ["--runtime", "remote", "--remote", remote];
    await server.json(["register", "chat", ...runtime, "--version", version]);
  }
  const policy = { model: "chat", ...quickCanary({}) };
  await server.client.applyPolicy("chat", { actor: "tester", policy });
  await on.deploy("v1.0");
  const url = `${server.serveUrl}/endpoints/chat/`;
  const load = new Load({ url, bodies: ["hello"], concurrency: 6, pauseMs: 15 });
  try {
    const { rollout } = await on.deploy("v1.1", { bakeMs: null });
    const ended = await until(
      "the rollout ends",
      async () => {
        const { lastRollout } = await on.view();
        return lastRollout?.id === rollout?.id && lastRollout;
      },
      90_000,
    );
    return ended.phase;
  } finally {
    await load.stop();
  }
}
