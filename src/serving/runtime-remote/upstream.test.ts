import { expect, test } from "vitest";

import { onRequests, scripted } from "../../../test/support/scripted-server.ts";
import { Upstream } from "./upstream.ts";

const ANSWER = '{"model_name":"m","outputs":[]}';
const OK = `HTTP/1.1 200 OK\r\ncontent-length: ${ANSWER.length}\r\n\r\n${ANSWER}`;

test("a request that is sent twice has no more time than one that is sent once", async () => {
  const timeoutMs = 1_000;
  const server = await scripted((socket, number) =>
    onRequests(socket, () => {
      setTimeout(() => (number === 1 ? socket.destroy() : socket.write(OK)), 0.6 * timeoutMs);
    }),
  );
  const upstream = new Upstream({
    url: server.url.href,
    protocol: "oip",
    model: "m",
    path: null,
    health: null,
    retries: true,
    form: "tensor",
    signature: null,
  });
  await expect(upstream.infer([], timeoutMs)).rejects.toMatchObject({ code: "runtime.timeout" });
  expect(server.connections).toBe(2);
  expect((await upstream.infer([], 10_000)).outputs).toEqual([]);
  await upstream.close();
});
