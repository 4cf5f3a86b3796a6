import { once } from "node:events";
import { connect, createServer, Socket, type AddressInfo } from "node:net";

import { expect, onTestFinished, test, vi } from "vitest";

import { readingSocket } from "./reading-socket.ts";

/** A caller and what the server made of its connection. */
async function connection(
  take: (bytes: Buffer) => boolean,
): Promise<{ readonly caller: Socket; readonly socket: Socket; readonly isClosed: () => boolean }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  let isClosed = false;
  const made = new Promise<Socket>((resolve) => {
    server.once("connection", (accepted) => {
      const socket = readingSocket(accepted, take);
      // Only what is left to do keeps it from closing.
      server.close(() => (isClosed = true));
      resolve(socket);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const caller = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const socket = await made;
  onTestFinished(() => {
    caller.destroy();
    socket.destroy();
  });
  return { caller, socket, isClosed: () => isClosed };
}

test("what comes is given in copies that later reads leave alone", async () => {
  const taken: Buffer[] = [];
  const { caller, socket } = await connection((bytes) => taken.push(bytes) > 0);
  for (const text of ["one", "two", "three"]) {
    const before = taken.length;
    caller.write(text);
    await vi.waitFor(() => expect(taken).toHaveLength(before + 1), { interval: 1 });
  }
  expect(taken.map(String)).toEqual(["one", "two", "three"]);
  expect(socket.bytesRead).toBe(11);
});

test("what is not taken is read as a stream, behind what was put back", async () => {
  const untaken: string[] = [];
  const { caller, socket } = await connection((bytes) => {
    untaken.push(bytes.toString());
    return false;
  });
  socket.pause();
  socket.unshift(Buffer.from("first "));
  const read: string[] = [];
  socket.on("data", (part: Buffer) => read.push(part.toString()));
  socket.resume();
  caller.end("second");
  await once(socket, "end");
  expect(read.join("")).toBe("first second");
  expect(untaken.join("")).toBe("second");
});

test("a socket that is paused reads nothing until it is resumed", async () => {
  const taken: Buffer[] = [];
  const { caller, socket } = await connection((bytes) => {
    socket.pause();
    return taken.push(bytes) > 0;
  });
  const all = 8 * 1024 * 1024;
  caller.write(Buffer.alloc(all, "x"));
  await vi.waitFor(() => expect(taken).toHaveLength(1), { interval: 1 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(taken).toHaveLength(1);
  socket.resume();
  await vi.waitFor(() => expect(taken.length).toBeGreaterThan(1), { interval: 1 });
});

test("its server waits for it and sees it go", async () => {
  const { caller, socket, isClosed } = await connection(() => true);
  expect(socket.remotePort).toBe(caller.localPort);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isClosed()).toBe(false);
  caller.destroy();
  await vi.waitFor(() => expect(socket.readableEnded).toBe(true), { interval: 1 });
  socket.destroy();
  await vi.waitFor(() => expect(isClosed()).toBe(true), { interval: 1 });
});

test("a socket without a connection is given back", () => {
  const accepted = new Socket();
  expect(readingSocket(accepted, () => true)).toBe(accepted);
});
