import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { connect, Socket, type AddressInfo } from "node:net";
import { Readable } from "node:stream";

import { expect, onTestFinished, test } from "vitest";

import { echoHeaders } from "./answer.ts";
import { NodeExchange } from "./node-exchange.ts";

/** Everything that comes back for one request with the id `mïne`, as bytes. */
async function bytesOf(body: string | Buffer): Promise<Buffer> {
  const server = createServer((request, response) => {
    const exchange = new NodeExchange(request, response);
    exchange.write({ status: 200, headers: {}, body }, echoHeaders(exchange));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const head = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: mïne\r\n\r\n";
  socket.end(head, "latin1");
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  server.close();
  return Buffer.concat(parts);
}

test("the caller's id comes back byte for byte, and the body is as long as it says", async () => {
  for (const body of ['{"a":1}', Buffer.of(0, 255, 128), '"grün"']) {
    const sent = Buffer.from(body);
    const bytes = await bytesOf(body);
    expect(bytes.toString("latin1")).toContain("x-request-id: mïne\r\n");
    expect(bytes.subarray(-sent.length)).toEqual(sent);
    expect(bytes.toString("latin1")).toContain(`content-length: ${sent.length}\r\n`);
  }
});

test.each([
  ["/a?b", "/a?b"],
  ["http://models.test:80/a?b", "/a?b"],
  ["HTTP://models.test?b", "/?b"],
  ["http://models.test", "/"],
  ["//a/b", "//a/b"],
  ["*", "*"],
])("a request for %j is one for %j: servers have to know the absolute form", (url, target) => {
  const request = Object.assign(new IncomingMessage(new Socket()), { method: "OPTIONS", url });
  expect(new NodeExchange(request, new ServerResponse(request)).target).toBe(target);
});

test.each([
  ["whole", () => Buffer.from("early")],
  ["a stream", () => Readable.from([Buffer.from("early")])],
])("what is still sent behind an answer that is %s does not keep its caller", async (_, answer) => {
  const server = createServer((request, response) => {
    const exchange = new NodeExchange(request, response);
    exchange.take(1, (_error, body) => {
      // As an upload is left whose server has answered, while it takes nothing more.
      (body as Readable).once("data", () => {
        request.pause();
        void exchange.pass({ status: 413, headers: {}, body: answer() });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const bytes = 16 * 1024 * 1024;
  socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`);
  // It reads nothing before all is sent.
  await new Promise<void>((resolve) => void socket.write(Buffer.alloc(bytes), () => resolve()));
  socket.end();
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  expect(Buffer.concat(parts).toString()).toMatch(/^HTTP\/1.1 413 [^]*early/);
});
