import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { listenPeers, ownIdentity, type PeerEnd } from "../../link/peer/index.ts";
import { connectUnread } from "./unread-client.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A shim that hears, a server that answers, and a worker's connection to both. */
async function stage() {
  const folder = mkdtempSync(join(tmpdir(), "lastgood-unread-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const heard: string[] = [];
  const socket = join(folder, "shim.sock");
  const self = ownIdentity("shim", "test", "llm/1");
  const onRequest = ({ kind }: { readonly kind: string }) => {
    heard.push(kind);
    return { body: {} };
  };
  const peers: PeerEnd[] = [];
  const shim = await listenPeers(socket, { self, onRequest }, (peer) => peers.push(peer));
  cleanups.push(() => shim.close());
  const server = createServer((_, response) => response.end("ok"));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const address = { kind: "passthrough", url, shim: socket, retries: false, queue: 4 } as const;
  const client = await connectUnread(address, socket);
  cleanups.push(() => client.close());
  const request = { method: "GET", path: "/x", headers: {}, body: null, timeoutMs: 5_000 };
  const tell = (why: string): void => peers.forEach((peer) => peer.notify("ended", { why }));
  return { heard, server, tell, ask: () => client.forward(request) };
}

test("the shim hears that its server answers, and not once for each answer", async () => {
  const { ask, heard } = await stage();
  for (let turn = 0; turn < 5; turn += 1) await ask();
  await expect.poll(() => heard.length).toBeGreaterThan(0);
  expect(new Set(heard)).toEqual(new Set(["answered"]));
  expect(heard.length).toBeLessThan(5);
});

test("an idle connection is given up before common servers close theirs, after 2 s", async () => {
  const { ask, server } = await stage();
  const closed = new Promise<number>((resolve) => {
    server.once("connection", (socket) => {
      const openedAt = performance.now();
      socket.once("close", () => resolve(performance.now() - openedAt));
    });
  });
  await ask();
  expect(await closed).toBeLessThan(1_900);
});

test("a request that a dead server did not take is told as its death, and is no suspect", async () => {
  const { ask, server, tell } = await stage();
  server.close();
  const asked = ask();
  setTimeout(() => tell("killed"), 50);
  await expect(asked).rejects.toMatchObject({
    name: "ModelDied",
    suspect: false,
    message: "killed",
  });
});

test("one that lives and takes no connection cannot be reached", async () => {
  const { ask, server } = await stage();
  server.close();
  await expect(ask()).rejects.toMatchObject({
    code: "runtime.unavailable",
    details: { sent: false },
  });
});
