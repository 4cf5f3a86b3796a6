import { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "vitest";

import {
  answering,
  onRequests,
  scripted,
  type Scripted,
} from "../../../test/support/scripted-server.ts";
import { AnswerTimeout } from "./upstream-failure.ts";
import type { PassedRequest, BegunAnswer } from "./upstream-passed.ts";
import { UpstreamPool, type PoolOptions } from "./upstream-pool.ts";

const PATIENT_MS = 10_000;

function poolOf({ url }: Pick<Scripted, "url">, options: Partial<PoolOptions> = {}): UpstreamPool {
  return new UpstreamPool(url, { connections: null, ...options });
}

function passed(overrides: Partial<PassedRequest> = {}): PassedRequest {
  return {
    method: "GET",
    path: "/",
    headers: {},
    body: null,
    timeoutMs: PATIENT_MS,
    ...overrides,
  };
}

async function bodyOf({ body }: BegunAnswer): Promise<string> {
  return Buffer.isBuffer(body) ? body.toString() : textOf(body);
}

async function failure(answer: Promise<unknown>): Promise<unknown> {
  return answer.then(
    () => "answered",
    (error: unknown) => error,
  );
}

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("a long answer comes as a stream that holds its server back", async () => {
  const length = 8 * 1024 * 1024;
  let written = 0;
  const server = await scripted((socket) =>
    onRequests(socket, () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`);
      const more = (): void => {
        while (written < length) {
          written += 65_536;
          if (!socket.write(Buffer.alloc(65_536, written / 65_536))) return;
        }
      };
      socket.on("drain", more);
      more();
    }),
  );
  const pool = poolOf(server);
  const { body, headers } = await pool.pass(passed({ timeoutMs: 200 }));
  expect(headers["content-length"]).toBe(String(length));
  // A reader that takes its time is not the server's silence.
  await sleep(400);
  expect(written).toBeLessThan(length);
  let read = 0;
  for await (const part of body as Readable) {
    const bytes = part as Buffer;
    expect(bytes[0]).toBe((Math.floor(read / 65_536) + 1) % 256);
    read += bytes.length;
  }
  expect(read).toBe(length);
  expect((await pool.pass(passed())).status).toBe(200);
});

test("a reader that leaves ends its connection, and no other", async () => {
  const server = await scripted((socket, number) =>
    onRequests(socket, () => {
      if (number === 1) socket.write("HTTP/1.1 200 OK\r\n\r\nendless");
      else socket.write(OK);
    }),
  );
  const pool = poolOf(server);
  const { body } = await pool.pass(passed());
  expect(body).toBeInstanceOf(Readable);
  const ended = new Promise((resolve) => [...server.sockets][0]?.once("close", resolve));
  (body as Readable).destroy();
  await ended;
  expect(await bodyOf(await pool.pass(passed()))).toBe("ok");
  await pool.close();
});

function stream(): Readable {
  return Readable.from([Buffer.from("he"), Buffer.from("llo")]);
}

test("the answer of a server that closes on an upload is heard, although the upload fails", async () => {
  const body = new Readable({ read: () => undefined });
  const server = await scripted((socket) =>
    socket.once("data", () => {
      socket.write("HTTP/1.1 413 No\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno");
      socket.destroy();
      // The first is answered with a reset and the next ones fail, all before the answer can be read.
      for (const part of ["some", "of", "it"]) body.push(part);
    }),
  );
  const pool = poolOf(server);
  const answer = await pool.pass(passed({ method: "POST", body }));
  expect([answer.status, await bodyOf(answer)]).toEqual([413, "no"]);
  await pool.close();
});

test("a streamed request goes in chunks, or by its length", async () => {
  const seen: string[] = [];
  const server = await scripted((socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
      if (!text.endsWith("0\r\n\r\n") && !text.endsWith("\r\n\r\nhello")) return;
      seen.push(text.slice(text.indexOf("\r\n\r\n") + 4));
      text = "";
      socket.write(OK);
    });
  });
  const pool = poolOf(server);
  await pool.pass(passed({ method: "POST", body: stream() }));
  await pool.pass(passed({ method: "POST", body: stream(), headers: { "content-length": "5" } }));
  // Lengths as Node's parser lets them in, and no number here holds: the caller's doing, and no failure.
  for (const length of ["0000000000000000000005", "1152921504606846976"]) {
    const headers = { "content-length": length };
    expect((await pool.pass(passed({ method: "POST", body: stream(), headers }))).status).toBe(200);
  }
  const chunked = "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
  expect(seen).toEqual([chunked, "hello", chunked, chunked]);
  expect(server.connections).toBe(1);
  await pool.close();
});

test.each([
  ["shorter", "6"],
  ["longer", "4"],
])("a streamed request that is %s than it said breaks off", async (_what, length) => {
  const server = await scripted((socket) => socket.resume());
  const body = Readable.from([Buffer.from("hello")]);
  const headers = { "content-length": length };
  const error = await failure(poolOf(server).pass(passed({ method: "POST", body, headers })));
  expect(error).toMatchObject({ stage: "sent" });
});

test("a caller that breaks off its upload ends the connection", async () => {
  const server = await scripted((socket) => socket.resume());
  const body = new Readable({ read: () => undefined });
  const asked = poolOf(server).pass(passed({ method: "POST", body }));
  body.push("he");
  await expect.poll(() => server.connections).toBe(1);
  body.destroy();
  expect(await failure(asked)).toMatchObject({ stage: "sent" });
  const gone = new Readable({ read: () => undefined });
  gone.destroy();
  const late = await failure(poolOf(server).pass(passed({ method: "POST", body: gone })));
  expect(late).toMatchObject({ stage: "sent" });
});

test("an answer before the request is there is the answer, and ends the connection", async () => {
  const early = "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig";
  const server = await scripted((socket, number) => {
    socket.once("data", () => socket.write(number === 1 ? early : OK));
  });
  const pool = poolOf(server);
  const body = new Readable({ read: () => undefined });
  body.push("he");
  const answer = await pool.pass(passed({ method: "POST", body }));
  expect([answer.status, await bodyOf(answer)]).toEqual([413, "big"]);
  expect(body.destroyed).toBe(false);
  expect((await pool.pass(passed())).status).toBe(200);
  expect(server.connections).toBe(2);
  await pool.close();
});

test("a slow caller is not the server's silence, a server that does not read is", async () => {
  const server = await answering(OK);
  const body = new Readable({ read: () => undefined });
  const headers = { "content-length": "4" };
  const asked = poolOf(server).pass(passed({ method: "POST", body, headers, timeoutMs: 60 }));
  for (const part of ["a", "b", "c", "d"]) {
    await sleep(50);
    body.push(part);
  }
  body.push(null);
  expect((await asked).status).toBe(200);
  const deaf = await scripted((socket) => socket.pause());
  const endless = new Readable({ read: (size) => void endless.push(Buffer.alloc(size)) });
  const unheard = poolOf(deaf).pass(passed({ method: "POST", body: endless, timeoutMs: 60 }));
  expect(await failure(unheard)).toBeInstanceOf(AnswerTimeout);
  endless.destroy();
});

test.each([
  ["a line in a value", { headers: { "x-a": "1\r\nx-b: 2" } }],
  ["a name that is none", { headers: { "x a": "1" } }],
  ["a space in the path", { path: "/ HTTP/1.1\r\n" }],
  ["a length that is none", { body: stream(), headers: { "content-length": "5\r\nx: y" } }],
  ["a method that is none", { method: "GET /" }],
])("%s is never sent", async (_what, overrides) => {
  const server = await answering(OK);
  expect(await failure(poolOf(server).pass(passed(overrides)))).toBeInstanceOf(TypeError);
  const question = { path: "/ HTTP/1.1\r\n", body: null };
  expect(await failure(poolOf(server).ask(question, PATIENT_MS))).toBeInstanceOf(TypeError);
  expect(server.connections).toBe(0);
});

test("headers of one name are one list, cookies are not", async () => {
  const server = await answering(
    "HTTP/1.1 200 OK\r\nX-A: 1\r\nset-cookie: a=1, b\r\nx-a: 2\r\nconstructor: c\r\nSet-Cookie: c\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  );
  const { headers, body } = await poolOf(server).pass(passed());
  expect(body).toEqual(Buffer.from("ok"));
  expect(headers).toEqual({
    "x-a": "1, 2",
    "set-cookie": ["a=1, b", "c"],
    constructor: "c",
    "content-length": "2",
    "transfer-encoding": "chunked",
  });
});

test("no body comes after HEAD, whatever length is said", async () => {
  const server = await answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  const pool = poolOf(server);
  const answer = await pool.pass(passed({ method: "HEAD" }));
  expect(answer.body).toEqual(Buffer.alloc(0));
  expect(answer.headers["content-length"]).toBe("5");
  await pool.pass(passed({ method: "HEAD" }));
  expect(server.connections).toBe(1);
  await pool.close();
});
