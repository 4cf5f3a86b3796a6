import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createServer as createSecureServer,
  getCACertificates,
  setDefaultCACertificates,
} from "node:tls";

import { expect, test } from "vitest";

import { answering, onRequests, scripted } from "../../../test/support/scripted-server.ts";
import {
  bodyOf,
  failure,
  OK,
  passed,
  PATIENT_MS,
  poolOf,
} from "../../../test/support/upstream-stage.ts";
import { AnswerInvalid, AnswerLost, AnswerTimeout } from "./upstream-failure.ts";
import { UpstreamPool } from "./upstream-pool.ts";

const get = { path: "/", body: null };

const ANSWERS: readonly (readonly [what: string, wire: string, body: string])[] = [
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"],
  ["no body", "HTTP/1.1 204 No Content\r\n\r\n", ""],
  [
    "chunks and trailers",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nt: 1\r\n\r\n",
    "hello",
  ],
  [
    "interim answers before it",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "hello",
  ],
];

test.each(ANSWERS)(
  "an answer with %s is read wherever its parts end",
  async (_what, wire, body) => {
    let cut = 0;
    const server = await scripted((socket) =>
      onRequests(socket, () => {
        const at = cut;
        socket.write(wire.slice(0, at), "latin1");
        setTimeout(() => socket.write(wire.slice(at), "latin1"), 1);
      }),
    );
    const pool = poolOf(server);
    for (cut = 0; cut < wire.length; cut += 1) {
      const whole = await pool.ask(get, PATIENT_MS);
      expect(whole.text).toBe(body);
      expect(await bodyOf(await pool.pass(passed()))).toBe(body);
    }
    // All of it on one connection: nothing was left behind.
    expect(server.connections).toBe(1);
    await pool.close();
  },
);

test("an answer that ends with its connection is read to the end, and the next is asked on another", async () => {
  const server = await scripted((socket) =>
    onRequests(socket, () => socket.end("HTTP/1.0 200 OK\r\n\r\nhello")),
  );
  const pool = poolOf(server);
  expect((await pool.ask(get, PATIENT_MS)).text).toBe("hello");
  expect(await bodyOf(await pool.pass(passed()))).toBe("hello");
  expect(server.connections).toBe(2);
  await pool.close();
});

test("requests are written as they are given, each in one piece", async () => {
  const requests: string[] = [];
  const server = await scripted((socket) =>
    onRequests(socket, (request) => {
      requests.push(request);
      socket.write(OK);
    }),
  );
  const pool = poolOf(server);
  const { host } = server.url;
  await pool.ask({ path: "/a", body: "{}" }, PATIENT_MS);
  const body = Buffer.from([0, 255, 13, 10]);
  const headers = { "x-a": ["1", "2"], "content-length": "77", "transfer-encoding": "chunked" };
  await pool.pass(passed({ method: "PUT", path: "/b?c", headers, body }));
  await pool.pass(passed({ method: "POST" }));
  await pool.pass(passed());
  expect(requests[0]).toBe(
    `POST /a HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
  );
  expect(requests.slice(-3)).toEqual([
    `PUT /b?c HTTP/1.1\r\nhost: ${host}\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 4\r\n\r\n\0\xff\r\n`,
    `POST / HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 0\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
  ]);
  await pool.close();
});

test("text beyond ASCII goes and comes as UTF-8, cut between letters too", async () => {
  const server = await scripted((socket) =>
    onRequests(socket, (request) => {
      const body = request.slice(request.indexOf("\r\n\r\n") + 4);
      const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`;
      socket.write(head + body.slice(0, -1), "latin1");
      setTimeout(() => socket.write(body.slice(-1), "latin1"), 5);
    }),
  );
  const pool = poolOf(server);
  expect((await pool.ask({ path: "/", body: "grün 🌱" }, PATIENT_MS)).text).toBe("grün 🌱");
  await pool.close();
});

test.each([
  ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
  ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na"],
  [
    "chunks and a length",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
  ],
  ["a broken chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"],
  ["another protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"],
  ["a head without end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`],
  ["interim answers without end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)],
])("%s is no answer, and its connection is not used again", async (_what, wire) => {
  const server = await scripted((socket, number) =>
    onRequests(socket, () => socket.write(number > 2 ? OK : wire, "latin1")),
  );
  const pool = poolOf(server);
  expect(await failure(pool.ask(get, PATIENT_MS))).toBeInstanceOf(AnswerInvalid);
  expect(await failure(pool.pass(passed()).then(bodyOf))).toBeInstanceOf(AnswerInvalid);
  expect((await pool.ask(get, PATIENT_MS)).text).toBe("ok");
  expect(server.connections).toBe(3);
  await pool.close();
});

test("what comes behind an answer's end is not taken for the next answer", async () => {
  const server = await answering(`${OK}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong`);
  const pool = poolOf(server);
  expect((await pool.ask(get, PATIENT_MS)).text).toBe("ok");
  expect((await pool.ask(get, PATIENT_MS)).text).toBe("ok");
  expect(server.connections).toBe(2);
  await pool.close();
});

test("what comes while nothing is asked ends its connection", async () => {
  const server = await scripted((socket) => {
    onRequests(socket, () => {
      socket.write(OK);
      setTimeout(() => socket.write("HTTP/1.1 408 Request Timeout\r\n\r\n"), 5);
    });
  });
  const pool = poolOf(server);
  expect((await pool.ask(get, PATIENT_MS)).text).toBe("ok");
  await sleep(50);
  expect((await pool.ask(get, PATIENT_MS)).text).toBe("ok");
  expect(server.connections).toBe(2);
  await pool.close();
});

test("a connection that its server closed while idle fails no request", async () => {
  const server = await scripted((socket) =>
    onRequests(socket, () => {
      socket.write(OK);
      setTimeout(() => socket.end(), 2);
    }),
  );
  const pool = poolOf(server);
  for (let count = 1; count <= 5; count += 1) {
    expect((await pool.ask(get, PATIENT_MS)).text).toBe("ok");
    await sleep(30);
  }
  expect(server.connections).toBe(5);
  await pool.close();
});

test("a connection is not used where its server is about to close it", async () => {
  const hinting = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok";
  const hinted = await answering(hinting);
  const pool = poolOf(hinted);
  await pool.ask(get, PATIENT_MS);
  await pool.ask(get, PATIENT_MS);
  expect(hinted.connections).toBe(2);
  await pool.close();
  const plain = await answering(OK);
  const short = poolOf(plain, { keepAliveMs: 20 });
  await short.ask(get, PATIENT_MS);
  await sleep(60);
  expect(plain.sockets.size).toBe(0);
  await short.ask(get, PATIENT_MS);
  expect(plain.connections).toBe(2);
  await short.close();
});

async function stageOf(ask: Promise<unknown>): Promise<unknown> {
  const error = await failure(ask);
  return error instanceof AnswerLost ? error.stage : error;
}

test("a lost connection says how far the request had come", async () => {
  const silent = poolOf(await scripted((socket) => onRequests(socket, () => socket.destroy())));
  expect(await stageOf(silent.ask(get, PATIENT_MS))).toBe("sent");
  const half = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe";
  const broken = poolOf(await scripted((socket) => onRequests(socket, () => socket.end(half))));
  expect(await stageOf(broken.ask(get, PATIENT_MS))).toBe("answering");
  expect(await stageOf(broken.pass(passed()))).toBe("answering");
  // Port 1 of loopback has no server.
  const nowhere = new UpstreamPool(new URL("http://127.0.0.1:1"), { connections: 1 });
  const many = Array.from({ length: 3 }, () => stageOf(nowhere.ask(get, PATIENT_MS)));
  expect(await Promise.all(many)).toEqual(["unsent", "unsent", "unsent"]);
});

test("what takes too long is given up, also while it waits for a connection", async () => {
  const server = await scripted(() => undefined);
  const pool = poolOf(server, { connections: 2 });
  const asked = [failure(pool.ask(get, 300.5)), failure(pool.pass(passed({ timeoutMs: 300 })))];
  await expect.poll(() => server.connections).toBe(2);
  expect(await failure(pool.ask(get, 20))).toBeInstanceOf(AnswerTimeout);
  for (const each of asked) expect(await each).toBeInstanceOf(AnswerTimeout);
  expect(server.connections).toBe(2);
});

test("an answer that stops half way is given up in time", async () => {
  const server = await answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe");
  const pool = poolOf(server);
  expect(await failure(pool.ask(get, 50))).toBeInstanceOf(AnswerTimeout);
  expect(await failure(pool.pass(passed({ timeoutMs: 50 })))).toBeInstanceOf(AnswerTimeout);
  const chunked = await answering(
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n",
  );
  const answer = await poolOf(chunked).pass(passed({ timeoutMs: 50 }));
  expect(await failure(bodyOf(answer))).toBeInstanceOf(AnswerTimeout);
});

test("no more connections than allowed: what waits is asked in its turn", async () => {
  const server = await scripted((socket) =>
    onRequests(socket, (request) => {
      const [, path = ""] = request.split(" ");
      const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`;
      setTimeout(() => socket.write(answer), 2);
    }),
  );
  const pool = poolOf(server, { connections: 3 });
  const paths = Array.from({ length: 20 }, (_, number) => `/${number}`);
  const answers = await Promise.all(
    paths.map((path) => pool.ask({ path, body: null }, PATIENT_MS)),
  );
  expect(answers.map(({ text }) => text)).toEqual(paths);
  expect(server.connections).toBe(3);
  await pool.close();
});

test("closing waits for what is asked, and asks nothing more", async () => {
  const server = await scripted((socket) =>
    onRequests(socket, () => setTimeout(() => socket.write(OK), 50)),
  );
  const pool = poolOf(server, { connections: 1 });
  const asked = [pool.ask(get, PATIENT_MS), pool.ask(get, PATIENT_MS)];
  const closed = pool.close();
  expect(await failure(pool.ask(get, PATIENT_MS))).toMatchObject({ stage: "unsent" });
  await closed;
  for (const each of asked) expect((await each).text).toBe("ok");
  await pool.close();
});

const pem = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, "../../../test/fixtures/tls", name));

function refused(why: string): object {
  return { stage: "unsent", message: expect.stringContaining(why) as string };
}

test("over TLS a server is asked only where its certificate is trusted and of its name", async () => {
  const options = { cert: pem("cert.pem"), key: pem("key.pem") };
  const server = await scripted(
    (socket) => onRequests(socket, () => socket.write(OK)),
    (heard) => createSecureServer(options, heard),
  );
  const asked = async (host: string): Promise<unknown> => {
    const pool = poolOf({ url: new URL(`https://${host}:${server.url.port}`) });
    const settled = await failure(pool.ask(get, PATIENT_MS).then(() => pool.ask(get, PATIENT_MS)));
    await pool.close();
    return settled;
  };
  expect(await asked("127.0.0.1")).toMatchObject(refused("self-signed"));
  const before = getCACertificates("default");
  setDefaultCACertificates([pem("cert.pem").toString()]);
  try {
    expect(await asked("127.0.0.1")).toBe("answered");
    expect(server.connections).toBe(1);
    expect(await asked("localhost")).toMatchObject(refused("localhost"));
  } finally {
    setDefaultCACertificates(before);
  }
});
