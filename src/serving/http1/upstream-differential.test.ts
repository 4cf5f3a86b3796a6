import { request, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo, type Server } from "node:net";
import { text } from "node:stream/consumers";

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

import { UpstreamPool } from "./upstream-pool.ts";

/*
 * The same answers, byte for byte, read by ours and by Node's own client: what ours takes for an answer
 * is the same answer there. Two readings of one stream are what request smuggling is made of.
 */

interface Read {
  readonly status: number;
  readonly body: string;
}

/** By path: what is written, and where it is cut. */
const wires = new Map<string, { readonly wire: string; readonly cut: number }>();
let server: Server;
let url: URL;

beforeAll(async () => {
  server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (chunk) => {
      const [, path = ""] = chunk.toString().split(" ");
      const { wire, cut } = wires.get(path) ?? { wire: "", cut: 0 };
      socket.write(wire.slice(0, cut), "latin1");
      setImmediate(() => socket.end(wire.slice(cut), "latin1"));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => {
  server.close();
});

/** Null where it is no answer; a body of null where the answer was whole and what follows it is not. */
function byNode(path: string): Promise<{ status: number; body: string | null } | null> {
  return new Promise((resolve) => {
    let seen: IncomingMessage | null = null;
    let body: string | null = null;
    const asked = request(new URL(path, url), { agent: false }, (response) => {
      seen = response;
      text(response).then(
        (all) => (body = all),
        () => undefined,
      );
    });
    asked.on("error", () => undefined);
    asked.once("close", () => {
      const whole = seen?.complete === true ? { status: seen.statusCode ?? 0, body } : null;
      // The body's promise may be one turn behind.
      setImmediate(() => resolve(whole === null ? null : { ...whole, body }));
    });
    asked.end();
  });
}

async function asText(pool: UpstreamPool, path: string): Promise<Read | null> {
  try {
    const { status, text: body } = await pool.ask({ path, body: null }, 10_000);
    return { status, body };
  } catch {
    return null;
  }
}

async function asStream(pool: UpstreamPool, path: string): Promise<Read | null> {
  try {
    const answer = await pool.pass({
      method: "GET",
      path,
      headers: {},
      body: null,
      timeoutMs: 10_000,
    });
    const { status, body } = answer;
    return { status, body: Buffer.isBuffer(body) ? body.toString() : await text(body) };
  } catch {
    return null;
  }
}

const body = fc.string({ maxLength: 60 });
const spelled = fc.constantFrom(
  (name: string) => name,
  (name: string) => name.toUpperCase(),
  (name: string) => name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase()),
);
const statusLine = fc
  .tuple(fc.constantFrom("1.1", "1.1", "1.0"), fc.constantFrom(200, 204, 304, 404, 500, 503))
  .map(([version, status]) => `HTTP/${version} ${status} Because`);
const field = fc.constantFrom(
  "connection: close",
  "connection: keep-alive",
  "keep-alive: timeout=5",
  "x-empty:",
  "set-cookie: a=1",
  "x-long: \t spaced out \t",
  "x-latin: \xe9",
);

function chunkedText(parts: readonly string[]): string {
  const chunks = parts.filter((part) => part !== "");
  return `${chunks.map((part) => `${part.length.toString(16)};x=y\r\n${part}\r\n`).join("")}0\r\nt: 1\r\n\r\n`;
}

const framed = fc.oneof(
  fc.tuple(spelled, body).map(([as, each]) => [`${as("content-length")}: ${each.length}`, each]),
  fc
    .tuple(spelled, fc.array(body, { maxLength: 4 }))
    .map(([as, parts]) => [`${as("transfer-encoding")}: chunked`, chunkedText(parts)]),
  body.map((each) => ["x-until: close", each]),
);

const wire = fc
  .tuple(statusLine, fc.array(field, { maxLength: 4 }), framed, fc.boolean())
  .map(([line, fields, [framing, content], isLast]) => {
    const lines = isLast ? [...fields, framing] : [framing, ...fields];
    return `${[line, ...lines].join("\r\n")}\r\n\r\n${content}`;
  });

/** Something taken out, put in, or said twice somewhere. */
const broken = fc
  .tuple(
    wire,
    fc.nat(200),
    fc.nat(3),
    fc.constantFrom(
      "",
      "\r",
      "\n",
      "\r\n",
      " ",
      ":",
      "\0",
      "0",
      "content-length: 3\r\n",
      "transfer-encoding: chunked\r\n",
      "Transfer-Encoding: identity\r\n",
    ),
  )
  .map(([text_, place, length, put]) => {
    const at = place % text_.length;
    return text_.slice(0, at) + put + text_.slice(at + length);
  });

interface Readings {
  readonly node: { readonly status: number; readonly body: string | null } | null;
  readonly whole: Read | null;
  readonly streamed: Read | null;
}

let count = 0;

async function readings(text_: string, cut: number): Promise<Readings> {
  count += 1;
  const path = `/${count}`;
  wires.set(path, { wire: text_, cut: cut % (text_.length + 1) });
  const pool = new UpstreamPool(url, { connections: null });
  const [node, whole, streamed] = await Promise.all([
    byNode(path),
    asText(pool, path),
    asStream(pool, path),
  ]);
  wires.delete(path);
  await pool.close();
  return { node, whole, streamed };
}

test("sound answers are read as Node's own client reads them", async () => {
  await fc.assert(
    fc.asyncProperty(wire, fc.nat(400), async (text_, cut) => {
      const { node, whole, streamed } = await readings(text_, cut);
      fc.pre(!(text_.startsWith("HTTP/1.0") && text_.toLowerCase().includes("chunked")));
      expect(whole).not.toBeNull();
      expect(whole).toEqual(node);
      expect(streamed).toEqual(node);
    }),
    { numRuns: 150 },
  );
});

/** Whether ours takes for an answer what Node's client takes for another one, or for none. */
function differs(ours: Read | null, node: Readings["node"]): boolean {
  if (ours === null) return false;
  if (node === null || node.status !== ours.status) return true;
  return node.body !== null && node.body !== ours.body;
}

test("what is taken for an answer is the same answer there", async () => {
  await fc.assert(
    fc.asyncProperty(broken, fc.nat(400), async (text_, cut) => {
      const { node, whole, streamed } = await readings(text_, cut);
      expect([whole, streamed].filter((ours) => differs(ours, node))).toEqual([]);
    }),
    { numRuns: 400 },
  );
});
