import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { onTestFinished } from "vitest";

/** A server that a test speaks for, and how many connections were made to it. */
export interface Scripted {
  readonly url: URL;
  /** Those that are there, the oldest first. */
  readonly sockets: ReadonlySet<Socket>;
  connections: number;
}

/** Listens on loopback until the test ends; `onSocket` is given each connection and its number. */
export async function scripted(
  onSocket: (socket: Socket, number: number) => void,
  makeServer: (onSocket: (socket: Socket) => void) => Server = (heard) =>
    createServer({ noDelay: true }, heard),
): Promise<Scripted> {
  const sockets = new Set<Socket>();
  const seen = { connections: 0, sockets };
  const server = makeServer((socket) => {
    seen.connections += 1;
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    onSocket(socket, seen.connections);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return Object.assign(seen, { url });
}

/** Calls back with each whole request (of `content-length`), as one character for each byte. */
export function onRequests(
  socket: Socket,
  answer: (request: string, number: number) => void,
): void {
  let text = "";
  let number = 0;
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    for (;;) {
      const end = text.indexOf("\r\n\r\n") + 4;
      const [, length = "0"] = /\r\ncontent-length: (\d+)\r\n/.exec(text.slice(0, end)) ?? [];
      const whole = end + Number(length);
      if (end < 4 || text.length < whole) return;
      number += 1;
      const request = text.slice(0, whole);
      text = text.slice(whole);
      answer(request, number);
    }
  });
}

/** Answers every request alike; one character for each byte. */
export function answering(text: string): Promise<Scripted> {
  return scripted((socket) => onRequests(socket, () => socket.write(text, "latin1")));
}
