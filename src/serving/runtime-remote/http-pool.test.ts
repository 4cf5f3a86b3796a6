import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, expect, test } from "vitest";

import { HttpLost, HttpPool, HttpTimeout } from "./http-pool.ts";

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function poolTo(listener: RequestListener): Promise<HttpPool> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const pool = new HttpPool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return pool;
}

async function failure(exchange: Promise<unknown>): Promise<unknown> {
  return exchange.then(
    () => "answered",
    (error: unknown) => error,
  );
}

test("posts JSON and puts an answer of many parts together, between letters too", async () => {
  const pool = await poolTo((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const text = Buffer.from(`${request.method} ${request.headers["content-type"]} ${body}`);
      response.writeEarlyHints({ link: "</x>; rel=preload" });
      response.write(text.subarray(0, text.length - 1));
      setTimeout(() => response.end(text.subarray(text.length - 1)), 5);
    });
  });
  const answer = await pool.exchange({ path: "/a", body: "grün ü" }, 5_000);
  expect(answer).toMatchObject({ status: 200, text: "POST application/json grün ü" });
  expect(answer.ms).toBeGreaterThan(0);
  expect((await pool.exchange({ path: "/a", body: null }, 5_000)).text).toBe("GET undefined ");
});

test("a status is the caller's to judge, and an empty body is empty text", async () => {
  const pool = await poolTo((_request, response) => response.writeHead(503).end());
  expect(await pool.exchange({ path: "/", body: null }, 5_000)).toMatchObject({
    status: 503,
    text: "",
  });
});

test("what takes too long is given up, also while it waits for a connection", async () => {
  let arrived = 0;
  const allTaken = Promise.withResolvers<void>();
  const pool = await poolTo(() => {
    arrived += 1;
    if (arrived === 128) allTaken.resolve();
  });
  const asked = Array.from({ length: 128 }, () =>
    failure(pool.exchange({ path: "/", body: "{}" }, 2_000.5)),
  );
  await allTaken.promise;
  const waiting = failure(pool.exchange({ path: "/", body: "{}" }, 20));
  expect(await waiting).toBeInstanceOf(HttpTimeout);
  for (const error of await Promise.all(asked)) expect(error).toBeInstanceOf(HttpTimeout);
  expect(arrived).toBe(128);
});

test("an answer that stops half way is given up in time", async () => {
  const pool = await poolTo((_request, response) => response.write("half"));
  expect(await failure(pool.exchange({ path: "/", body: null }, 100))).toBeInstanceOf(HttpTimeout);
});

test("a lost connection says whether the request had left", async () => {
  const pool = await poolTo((request) => request.socket.destroy());
  const after = await failure(pool.exchange({ path: "/", body: "{}" }, 5_000));
  expect(after).toBeInstanceOf(HttpLost);
  expect(after).toMatchObject({ sent: true });
  // Port 1 of loopback has no server.
  const before = await failure(
    new HttpPool("http://127.0.0.1:1").exchange({ path: "/", body: "{}" }, 5_000),
  );
  expect(before).toMatchObject({ sent: false });
});

test("closing waits for what is asked, and asks nothing more", async () => {
  const pool = await poolTo((_request, response) => setTimeout(() => response.end("late"), 50));
  const asked = pool.exchange({ path: "/", body: null }, 5_000);
  await pool.close();
  expect((await asked).text).toBe("late");
  expect(await failure(pool.exchange({ path: "/", body: null }, 5_000))).toBeInstanceOf(HttpLost);
});
