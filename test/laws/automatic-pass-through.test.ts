/** A server that speaks something of its own: unread requests, and still a rollback by itself. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { Load } from "../support/load.ts";
import { OwnServer } from "../support/own-server.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { stage } from "../support/stage.ts";
import { quickCanary } from "../support/under-traffic.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-own-"));
const [old, young] = [new OwnServer("old"), new OwnServer("young")];
let server: TestServer;

beforeAll(async () => {
  await Promise.all([old.start(), young.start()]);
  const own = { protocol: "passthrough", health: "/health" };
  const remotes = {
    old: { ...own, url: old.url },
    // It may be asked twice: what it fails is answered by stable.
    young: { ...own, url: young.url, retries: true },
  };
  const config = join(folder, "server.yaml");
  // Every JSON is YAML.
  writeFileSync(config, JSON.stringify({ remotes }));
  server = await startServer({ args: ["--config", config] });
});

afterAll(async () => {
  await server.destroy();
  await Promise.all([old.stop(), young.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

test("a candidate that answers 500 now and then is sent back by its statuses, and no caller sees one", async () => {
  const on = stage(server, "chat");
  for (const [version, remote] of [
    ["v1.0", "old"],
    ["v1.1", "young"],
  ] as const)
    await server.json([
      "register",
      "chat",
      "--runtime",
      "remote",
      "--remote",
      remote,
      "--version",
      version,
    ]);
  await server.client.applyPolicy("chat", {
    actor: "tester",
    policy: { model: "chat", ...quickCanary({}) },
  });
  await on.deploy("v1.0");
  let count = 0;
  young.behaviour = (_incoming, response) => {
    response.writeHead(++count % 4 === 0 ? 500 : 200);
    response.end("young");
  };
  const url = `${server.serveUrl}/endpoints/chat/v1/chat/completions`;
  const load = new Load({ url, bodies: ['{"messages":[]}'], concurrency: 6, pauseMs: 15 });
  try {
    const { rollout } = await on.deploy("v1.1", { bakeMs: null });
    const { phase, reason } = await until(
      "the rollout ends",
      async () => {
        const { lastRollout } = await on.view();
        return lastRollout?.id === rollout?.id && lastRollout;
      },
      90_000,
    );
    expect(`${phase}: ${reason}`).toMatch(/^RolledBack: errorRate: /);
  } finally {
    await load.stop();
  }
  expect(load.failures).toEqual([]);
  const versions = new Set(load.answers.map(({ version }) => version));
  expect(versions).toEqual(new Set(["v1.0", "v1.1"]));
  expect(await on.view()).toMatchObject({ current: { version: "v1.0" } });
}, 180_000);
