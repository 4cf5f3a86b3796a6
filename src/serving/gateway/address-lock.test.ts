import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { takeAddress } from "./address-lock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lg-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a free port is found, and can be listened on afterwards", async () => {
  const taken = await takeAddress(folder, "127.0.0.1", 0);
  expect(taken.port).toBeGreaterThan(0);
  const server = createServer();
  await new Promise<void>((resolve) =>
    server.listen({ port: taken.port, host: "127.0.0.1", reusePort: taken.reusePort }, resolve),
  );
  await new Promise((resolve) => server.close(resolve));
  taken.lock.release();
});

test("a port that a stranger shares is refused, naming the process", async () => {
  const stranger = createServer();
  await new Promise<void>((resolve) =>
    stranger.listen({ port: 0, host: "127.0.0.1", reusePort: true }, resolve),
  );
  const { port } = stranger.address() as AddressInfo;
  try {
    await expect(takeAddress(folder, "127.0.0.1", port)).rejects.toMatchObject({
      code: "address.in-use",
      details: { pid: process.pid },
    });
  } finally {
    await new Promise((resolve) => stranger.close(resolve));
  }
  const after = await takeAddress(folder, "127.0.0.1", port);
  after.lock.release();
});
