import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { encodeFrame, FrameReader } from "./frame.ts";
import { ownIdentity } from "./identity.ts";
import {
  connectPeer,
  listenPeers,
  type Peer,
  type PeerListener,
  type PeerOptions,
  type RequestHandler,
} from "./peer.ts";

let folder: string;
let path: string;
const closing: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-peer-"));
  path = join(folder, "s.sock");
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true, force: true });
});

const silent: RequestHandler = () => ({ body: null });
const control = (onRequest: RequestHandler = silent): PeerOptions => ({
  self: ownIdentity("control", "test", "/data"),
  onRequest,
});
const gateway = (onRequest: RequestHandler = silent): PeerOptions => ({
  self: ownIdentity("gateway", "test", "/data"),
  onRequest,
});

async function listen(options: PeerOptions, onPeer: (peer: Peer) => void): Promise<PeerListener> {
  const listener = await listenPeers(path, options, onPeer);
  closing.push(() => listener.close());
  return listener;
}

/** Both ends of a connection whose hello is done. */
async function pair(
  near: PeerOptions = gateway(),
  far: PeerOptions = control(),
): Promise<{ near: Peer; far: Peer; listener: PeerListener }> {
  const arrived = Promise.withResolvers<Peer>();
  const listener = await listen(far, arrived.resolve);
  const dialled = await connectPeer(path, near);
  closing.push(() => dialled.close());
  return { near: dialled, far: await arrived.promise, listener };
}

async function refusal(promise: Promise<unknown>): Promise<LastgoodError> {
  const settled = await promise.then(
    () => new Error("it was not refused"),
    (error: unknown) => error,
  );
  return LastgoodError.from(settled);
}

test("each end learns who the other is", async () => {
  const { near, far } = await pair();
  expect(near.other).toMatchObject({ role: "control", pid: process.pid, subject: "/data" });
  expect(far.other.role).toBe("gateway");
  expect(near.other.nonce).not.toBe(far.other.nonce);
  expect([near.isOpen, far.isOpen]).toEqual([true, true]);
});

test("only the owner may dial", async () => {
  await listen(control(), () => undefined);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

const echo: RequestHandler = ({ kind, body, payload }) => ({
  body: { kind, body },
  payload: [payload, Uint8Array.of(9)],
});

test("either end asks, the other answers, with bytes where there are any", async () => {
  const { near, far } = await pair(gateway(echo), control(echo));
  const payload = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  const reply = await near.request("route.publish", { a: [1, "é"] }, { payload });
  expect(reply.body).toEqual({ kind: "route.publish", body: { a: [1, "é"] } });
  expect([...reply.payload]).toEqual([1, 2, 3, 9]);
  expect((await far.request("gateway.status", {})).body).toEqual({
    kind: "gateway.status",
    body: {},
  });
});

test("answers find their questions in whatever order they come", async () => {
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const { near } = await pair(
    gateway(),
    control(async ({ body }) => {
      await gates[Number(body)]?.promise;
      return { body };
    }),
  );
  const asked = [0, 1, 2].map((number) => near.request("k", number));
  for (const gate of gates.toReversed()) gate.resolve();
  expect((await Promise.all(asked)).map((reply) => reply.body)).toEqual([0, 1, 2]);
});

test("large bodies come through whole", async () => {
  const { near } = await pair(
    gateway(),
    control(({ payload }) => ({ body: payload.length, payload: [payload] })),
  );
  const bytes = Buffer.alloc(3_000_001, "abc");
  const reply = await near.request("k", null, { payload: [bytes] });
  expect(reply.body).toBe(bytes.length);
  expect(reply.payload.equals(bytes)).toBe(true);
});

test("what a handler throws travels back with code, hint and what was passed over", async () => {
  const passedOver = [{ version: "v1.0", why: "failed" }];
  const { near } = await pair(
    gateway(),
    control(({ kind }) => {
      if (kind === "ours")
        throw new LastgoodError("target.none", "nowhere", { hint: "deploy", passedOver });
      throw new RangeError("out of range");
    }),
  );
  expect(await refusal(near.request("ours", null))).toMatchObject({
    code: "target.none",
    message: "nowhere",
    hint: "deploy",
    passedOver,
  });
  expect(await refusal(near.request("theirs", null))).toMatchObject({
    code: "internal",
    message: "out of range",
  });
  expect(near.isOpen, "an error ends no connection").toBe(true);
});

test("a notification gets no reply, not even an error, and ends nothing", async () => {
  const heard = Promise.withResolvers<unknown>();
  const { near } = await pair(
    gateway(),
    control(({ kind, body }) => {
      if (kind === "counts") heard.resolve(body);
      if (kind === "bad") throw new Error("nobody is told");
      return { body: "unasked" };
    }),
  );
  near.notify("bad", null);
  near.notify("counts", { n: 1 });
  expect(await heard.promise).toEqual({ n: 1 });
  expect((await near.request("k", null)).body).toBe("unasked");
});

test("no answer in time is server.unreachable, and the late answer harms nobody", async () => {
  const late = Promise.withResolvers<{ body: unknown }>();
  const { near } = await pair(
    gateway(),
    control(({ kind }) => (kind === "slow" ? late.promise : { body: "fast" })),
  );
  expect(await refusal(near.request("slow", null, { timeoutMs: 20 }))).toMatchObject({
    code: "server.unreachable",
    message: "the control did not answer slow within 20 ms",
  });
  late.resolve({ body: "late" });
  expect((await near.request("k", null)).body).toBe("fast");
});

test("what cannot be written down is refused and leaves nothing waiting", async () => {
  const { near } = await pair();
  expect((await refusal(near.request("k", { big: 1n }))).code).toBe("internal");
  expect((await near.request("k", null)).body).toBeNull();
});

test("a reply that cannot be written down comes back as an error", async () => {
  const { near } = await pair(
    gateway(),
    control(() => ({ body: 1n })),
  );
  expect((await refusal(near.request("k", null))).code).toBe("internal");
  expect(near.isOpen).toBe(true);
});

for (const end of ["near", "far"] as const)
  test(`when the ${end} end closes, both know, and whoever waits is told`, async () => {
    const both = await pair(
      gateway(),
      control(() => new Promise(() => undefined)),
    );
    const asked = refusal(both.near.request("k", null));
    both[end].close();
    expect((await asked).code).toBe("server.unreachable");
    await Promise.all([both.near.closed, both.far.closed]);
    expect([both.near.isOpen, both.far.isOpen]).toEqual([false, false]);
    expect((await refusal(both.near.request("k", null))).code).toBe("server.unreachable");
    both.near.notify("k", null);
  });

test("closing the listener ends its connections and takes the socket away", async () => {
  const { near, listener } = await pair();
  await listener.close();
  await near.closed;
  expect(existsSync(path)).toBe(false);
  expect((await refusal(connectPeer(path, gateway()))).code).toBe("server.unreachable");
});

test("what a dead process left under the path is replaced", async () => {
  writeFileSync(path, "left over");
  const { near } = await pair();
  expect(near.isOpen).toBe(true);
});

test("nobody listening is server.unreachable, with the path", async () => {
  expect(await refusal(connectPeer(path, gateway()))).toMatchObject({
    code: "server.unreachable",
    message: expect.stringContaining(path),
  });
});

/** A server of our own making that says what it likes. */
async function impostor(onConnection: (socket: Socket) => void): Promise<void> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  server.listen(path);
  await once(server, "listening");
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
}

const self = ownIdentity("control", "test", "/data");
const greetings: Readonly<Record<string, readonly Uint8Array[]>> = {
  "an identity without a role": encodeFrame(0, "hello", { ...self, role: undefined }),
  "a role that is none of ours": encodeFrame(0, "hello", { ...self, role: "impostor" }),
  "a pid that is no number": encodeFrame(0, "hello", { ...self, pid: "1" }),
  "no body": encodeFrame(0, "hello", null),
  "another kind of frame": encodeFrame(0, "counts", self),
  "a reply to nothing": encodeFrame(1, "reply", self),
  garbage: [Buffer.from("GET / HTTP/1.1\r\n\r\n")],
};
for (const [what, bytes] of Object.entries(greetings))
  test(`a hello with ${what} is refused`, async () => {
    await impostor((socket) => {
      for (const chunk of bytes) socket.write(chunk);
    });
    expect((await refusal(connectPeer(path, gateway()))).code).toBe("link.invalid");
  });

test("closing comes to an end where the other side reads nothing of what was sent", async () => {
  await impostor((socket) => {
    for (const chunk of encodeFrame(0, "hello", self)) socket.write(chunk);
    socket.pause();
  });
  const near = await connectPeer(path, gateway());
  const asked = refusal(near.request("run", null, { payload: [Buffer.alloc(8_000_000)] }));
  expect(near.unread).toBeGreaterThan(0);
  near.close();
  await near.closed;
  expect((await asked).code).toBe("server.unreachable");
});

test("no hello in time, and an end before hello, are server.unreachable", async () => {
  let connections = 0;
  await impostor((socket) => {
    connections += 1;
    if (connections === 2) socket.end();
  });
  const impatient = { ...gateway(), helloTimeoutMs: 20 };
  expect(await refusal(connectPeer(path, impatient))).toMatchObject({
    code: "server.unreachable",
    message: "the other side said no hello in time",
  });
  expect((await refusal(connectPeer(path, gateway()))).code).toBe("server.unreachable");
});

/** A bare connection to our listener. */
async function dial(): Promise<Socket> {
  const socket = connect(path);
  closing.push(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect");
  return socket;
}

test("strangers at the door are sent away, and the door stays open", async () => {
  let peers = 0;
  await listen({ ...control(), helloTimeoutMs: 20 }, () => {
    peers += 1;
  });
  const garbage = await dial();
  garbage.write("GET / HTTP/1.1\r\n\r\n");
  const mute = await dial();
  await Promise.all([once(garbage, "close"), once(mute, "close")]);
  expect(peers).toBe(0);
  expect((await connectPeer(path, gateway())).isOpen).toBe(true);
});

test("garbage after hello ends the connection, not the process", async () => {
  const arrived = Promise.withResolvers<Peer>();
  await listen(control(), arrived.resolve);
  const socket = await dial();
  for (const part of encodeFrame(0, "hello", ownIdentity("gateway", "test", "/data")))
    socket.write(part);
  const peer = await arrived.promise;
  const asked = refusal(peer.request("k", null));
  socket.write(Buffer.alloc(64, 0xff));
  await peer.closed;
  expect((await asked).code).toBe("server.unreachable");
});

test("an error without its particulars is link.invalid, an answer nobody asked for is ignored", async () => {
  await impostor((socket) => {
    const reader = new FrameReader();
    for (const part of encodeFrame(0, "hello", self)) socket.write(part);
    for (const part of encodeFrame(99, "reply", "unasked")) socket.write(part);
    socket.on("data", (chunk: Buffer) => {
      for (const { id, kind } of reader.push(chunk))
        if (kind !== "hello") for (const part of encodeFrame(id, "error", 7)) socket.write(part);
    });
  });
  const peer = await connectPeer(path, gateway());
  closing.push(() => peer.close());
  expect((await refusal(peer.request("k", null))).code).toBe("link.invalid");
});

test("frames that come together with hello are not lost", async () => {
  const heard = Promise.withResolvers<unknown>();
  await impostor((socket) => {
    const parts = [...encodeFrame(0, "hello", self), ...encodeFrame(0, "counts", "early")];
    socket.write(Buffer.concat(parts));
  });
  const peer = await connectPeer(
    path,
    gateway(({ body }) => {
      heard.resolve(body);
      return { body: null };
    }),
  );
  closing.push(() => peer.close());
  expect(await heard.promise).toBe("early");
});

/** A file beside this one, as another program imports it. */
function besides(file: string): string {
  return JSON.stringify(join(import.meta.dirname, file));
}

test("the death of the other process is the end of the connection", async () => {
  const program = `
    const { listenPeers } = await import(${besides("peer.ts")});
    const { ownIdentity } = await import(${besides("identity.ts")});
    await listenPeers(${JSON.stringify(path)}, {
      self: ownIdentity("model", "test", "fraud-prod/1"),
      onRequest: () => new Promise(() => undefined),
    }, () => undefined);
    console.log("listening");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  closing.push(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  const peer = await connectPeer(path, gateway());
  expect(peer.other).toMatchObject({ role: "model", pid: child.pid, subject: "fraud-prod/1" });
  const asked = [1, 2, 3].map((number) => refusal(peer.request("k", number)));
  child.kill("SIGKILL");
  await peer.closed;
  for (const error of await Promise.all(asked))
    expect(error).toMatchObject({
      code: "server.unreachable",
      message: expect.stringContaining(`pid ${child.pid}`),
    });
  expect(peer.isOpen).toBe(false);
});
