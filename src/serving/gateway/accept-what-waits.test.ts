import { connect, createServer, type AddressInfo } from "node:net";

import { expect, test } from "vitest";

import { acceptWhatWaits } from "./accept-what-waits.ts";

test("of many connections that wait at once all are accepted before the listener closes", async () => {
  const many = 50;
  let accepted = 0;
  const listener = createServer((socket) => {
    accepted += 1;
    socket.on("error", () => undefined).end();
  });
  await new Promise<void>((resolve) => {
    listener.listen(0, "127.0.0.1", resolve);
  });
  const { port } = listener.address() as AddressInfo;
  const callers = Array.from({ length: many }, () =>
    connect({ host: "127.0.0.1", port }).on("error", () => undefined),
  );
  await acceptWhatWaits(listener);
  listener.close();
  expect(accepted).toBe(many);
  for (const caller of callers) caller.destroy();
});
