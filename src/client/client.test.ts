import { expect, test } from "vitest";

import { LastgoodError } from "../core/errors/index.ts";
import { LastgoodClient } from "./client.ts";

interface Seen {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
}

type Answer = Response | Error;

function clientOf(answers: Answer[], retryMs = 0): { client: LastgoodClient; seen: Seen[] } {
  const seen: Seen[] = [];
  const fetch = (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const text = typeof init.body === "string" ? init.body : null;
    seen.push({
      url: String(input),
      method: init.method ?? "GET",
      headers: new Headers(init.headers),
      body: text === null ? null : JSON.parse(text),
    });
    const answer = answers.shift() ?? new Error("no answer left");
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const client = new LastgoodClient({
    url: "http://server:1/",
    token: "secret",
    fetch,
    retry: { forMs: retryMs, whenRefused: false },
  });
  return { client, seen };
}

function refused(): Error {
  const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  return new TypeError("fetch failed", { cause });
}

function dropped(): Error {
  const cause = Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" });
  return new TypeError("fetch failed", { cause });
}

const answered = {
  endpoint: "e",
  rollout: null,
  current: null,
  done: "paused",
  assessment: null,
  seen: null,
  pin: null,
  automatic: { on: true, why: null },
};
const pause = {
  command: "pause",
  endpoint: null,
  forMs: null,
  actor: "me",
  reason: null,
} as const;

test("an answer is checked against the schema and given back", async () => {
  const { client, seen } = clientOf([Response.json([])]);
  expect(await client.models()).toEqual([]);
  expect(seen[0]?.url).toBe("http://server:1/api/v1/models");
  expect(seen[0]?.headers.get("authorization")).toBe("Bearer secret");
});

test("a problem becomes the server's own error, with everything it said", async () => {
  const problem = {
    type: "urn:lastgood:error:target.none",
    title: "There is no proven version to go back to",
    status: 409,
    detail: "no way back",
    code: "target.none",
    message: "no way back",
    hint: "deploy another one",
    details: { endpoint: "e" },
    passedOver: [{ version: "v1.0", why: "failed" }],
  };
  const { client } = clientOf([Response.json(problem, { status: 409 })]);
  const error = await client.rollback({ actor: "me" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LastgoodError);
  expect(LastgoodError.from(error).toBody()).toEqual({
    code: "target.none",
    message: "no way back",
    hint: "deploy another one",
    details: { endpoint: "e" },
    passedOver: [{ version: "v1.0", why: "failed" }],
  });
});

test("a server that is not there is unreachable, at once", async () => {
  const { client, seen } = clientOf([refused()], 5_000);
  await expect(client.steer(pause)).rejects.toMatchObject({
    code: "server.unreachable",
    hint: expect.stringContaining("lastgood serve"),
  });
  expect(seen).toHaveLength(1);
});

test("a command whose connection was dropped is repeated with the same key until it is answered", async () => {
  const { client, seen } = clientOf([dropped(), refused(), Response.json(answered)], 5_000);
  expect(await client.steer(pause)).toEqual(answered);
  const keys = seen.map((each) => each.headers.get("idempotency-key"));
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
});

test("a rollback may be given its key", async () => {
  const { client, seen } = clientOf([dropped(), refused()], 1);
  await client.rollback({ actor: "ann" }, undefined, "k1").catch(() => undefined);
  expect(seen[0]?.headers.get("idempotency-key")).toBe("k1");
});

test("an answer that breaks off while it is read is asked for again", async () => {
  const broken = new Response(
    new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode('{"endpoint":'));
        controller.error(dropped());
      },
    }),
  );
  const { client } = clientOf([broken, Response.json(answered)], 5_000);
  expect(await client.steer(pause)).toEqual(answered);
});

test("a refusal is not repeated", async () => {
  const problem = { code: "rollout.none", message: "none", hint: null };
  const { client, seen } = clientOf([Response.json(problem, { status: 409 })], 5_000);
  await expect(client.steer(pause)).rejects.toMatchObject({ code: "rollout.none" });
  expect(seen).toHaveLength(1);
});

test.each([
  ["no JSON", () => new Response("<html>", { status: 200 })],
  ["another server's JSON", () => Response.json({ hello: 1 })],
  ["another server's error", () => new Response("nope", { status: 502 })],
])("%s is named as an answer that is not ours", async (_, answer) => {
  const { client } = clientOf([answer()]);
  await expect(client.models()).rejects.toMatchObject({ code: "link.invalid" });
});

test("a name stays one segment of the path, whatever it holds", async () => {
  const { client, seen } = clientOf([Response.json([]), Response.json([]), Response.json([])]);
  await client.versions("../../etc/passwd");
  await client.versions("..");
  await client.versions("a b?c#d");
  const paths = seen.map((each) => new URL(each.url).pathname);
  expect(paths).toEqual([
    "/api/v1/models/..%2F..%2Fetc%2Fpasswd/versions",
    "/api/v1/models/%252E%252E/versions",
    "/api/v1/models/a%20b%3Fc%23d/versions",
  ]);
});

test("events are read one by one, whatever way the bytes are cut", async () => {
  const entry = {
    endpoint: "e",
    sequence: 1,
    at: 1,
    kind: "rollback.completed",
    actor: "me",
    reason: null,
    data: { text: "ä" },
    previous: null,
    hash: "h",
  };
  const event = `id: e:1\nevent: history\ndata: ${JSON.stringify(entry)}\n\n`;
  const bytes = new TextEncoder().encode(`: hello\n\n${event}${event}data: broken\n\n`);
  for (const size of [1, 3, bytes.length]) {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (let at = 0; at < bytes.length; at += size)
          controller.enqueue(bytes.subarray(at, at + size));
        controller.close();
      },
    });
    const { client, seen } = clientOf([new Response(body)]);
    const entries = [];
    for await (const each of client.events({ after: "e:0" })) entries.push(each);
    expect(entries).toEqual([entry, entry]);
    expect(seen[0]?.headers.get("last-event-id")).toBe("e:0");
  }
});
