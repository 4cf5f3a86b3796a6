import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer, type AddressInfo, type Server } from "node:net";

import { afterEach, beforeEach, expect, test } from "vitest";

import { until } from "../../../test/support/server.ts";
import type { GrpcProtocol } from "../protocol/index.ts";
import { GrpcServer, type GrpcServerParts } from "./grpc-server.ts";

let grpc: GrpcServer;
let listener: Server;
let port: number;

beforeEach(async () => {
  // No call is made here.
  const protocol = { name: "oip-grpc", methods: [] } as unknown as GrpcProtocol;
  const unused = {} as Pick<GrpcServerParts, "book" | "inference">;
  const silence = { afterMs: 50, forMs: 50 };
  grpc = new GrpcServer({ ...unused, protocol, build: "test", silence });
  listener = createServer((socket) => grpc.take(socket)).listen(0, "127.0.0.1");
  await once(listener, "listening");
  ({ port } = listener.address() as AddressInfo);
});

afterEach(async () => {
  listener.close();
  await grpc.drain(1_000);
});

const connections = (): Promise<number> =>
  new Promise((resolve) => {
    listener.getConnections((_, count) => resolve(count));
  });

test("a connection that never says a word is ended, one that gives signs of life stays", async () => {
  const silent = connect(port, "127.0.0.1");
  const alive = connectHttp2(`http://127.0.0.1:${port}`);
  let pings = 0;
  alive.on("ping", () => (pings += 1));
  await until("both are there", async () => (await connections()) === 2);
  await once(silent.resume(), "close");
  await until("the other was asked again and again", () => pings > 3);
  expect([alive.destroyed, await connections()]).toEqual([false, 1]);
  alive.destroy();
});
