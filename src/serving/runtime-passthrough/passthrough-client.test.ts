import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, expect, test } from "vitest";

import type { Forwarded } from "../runtime/index.ts";
import { connectPassThrough, type PassThroughOptions } from "./passthrough-client.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Asks `url` something through a client of its own. */
function asking(url: string, options: PassThroughOptions = {}): () => Promise<Forwarded> {
  const address = { kind: "passthrough", url, shim: null, retries: false, queue: 100 } as const;
  const client = connectPassThrough(address, options);
  const request = { method: "POST", path: "/x", headers: {}, timeoutMs: 5_000 };
  return () => client.forward({ ...request, body: Buffer.from("{}") });
}

test("a request that was sent and lost is told from one that found no connection", async () => {
  const { server, url } = await serve((incoming) => incoming.socket.destroy());
  const ask = asking(url);
  await expect(ask()).rejects.toMatchObject({
    code: "runtime.unavailable",
    message: expect.stringContaining("did not answer to the end") as string,
    details: { sent: true },
  });
  server.close();
  await expect(ask()).rejects.toMatchObject({
    code: "runtime.unavailable",
    message: expect.stringContaining("cannot be reached") as string,
    details: { sent: false },
  });
});

test("an answer says that its server lives, and so does each part of one; a failure of the server's does not", async () => {
  let status = 200;
  const { url } = await serve((_, response) => {
    response.writeHead(status);
    response.write("1");
    setTimeout(() => response.write("2"), 30);
    setTimeout(() => response.end("3"), 60);
  });
  let heard = 0;
  const ask = asking(url, { onAnswer: () => (heard += 1) });
  const streamed = async (): Promise<void> => {
    const { body } = await ask();
    if (!Buffer.isBuffer(body)) for await (const _ of body);
  };
  await streamed();
  expect(heard).toBeGreaterThanOrEqual(3);
  status = 500;
  heard = 0;
  await streamed();
  expect(heard).toBe(0);
});
