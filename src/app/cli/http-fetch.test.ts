import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import { expect, test } from "vitest";

import { httpFetch } from "./http-fetch.ts";

async function withServer<T>(
  listener: RequestListener,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const server = createServer(listener);
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    response.statusCode = request.method === "POST" ? 201 : 404;
    response.end(`${request.headers["content-length"]} ${Buffer.concat(chunks).toString("utf8")}`);
  });
};

const half: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": "10" });
  response.write("half", () => response.destroy());
};

const silent: RequestListener = () => undefined;

const refuse: RequestListener = (request, response) => {
  response.writeHead(413, { connection: "close" });
  response.end("too large", () => request.destroy());
};

test.each([
  ["text", "ä"],
  ["bytes", new TextEncoder().encode("ä")],
  ["a blob", new Blob(["ä"])],
])("%s is sent with its length, and status and text come back", async (_, body) => {
  await withServer(echo, async (url) => {
    const answer = await httpFetch(url, { method: "POST", body });
    expect([answer.ok, answer.status]).toEqual([true, 201]);
    expect(await answer.text()).toBe("2 ä");
    expect((await httpFetch(url)).ok).toBe(false);
  });
});

test("a server that is not there is told by its code", async () => {
  const url = await withServer(echo, (address) => Promise.resolve(address));
  await expect(httpFetch(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("an answer that breaks off is an error, not a short answer", async () => {
  await withServer(half, async (url) => {
    const answer = await httpFetch(url);
    await expect(answer.text()).rejects.toMatchObject({ code: "ECONNRESET" });
  });
});

test("a call that is given up ends at once", async () => {
  await withServer(silent, async (url) => {
    await expect(httpFetch(url, { signal: AbortSignal.timeout(20) })).rejects.toThrow(/abort/i);
  });
});

test("a refusal of the body is read although the body was not", async () => {
  await withServer(refuse, async (url) => {
    const body = new Blob([new Uint8Array(32 * 1024 * 1024)]);
    const answer = await httpFetch(url, { method: "POST", body });
    expect([answer.status, await answer.text()]).toEqual([413, "too large"]);
  });
});
