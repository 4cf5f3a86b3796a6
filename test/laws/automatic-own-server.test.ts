/** A managed server that speaks something of its own: streams, the split, counts by status, rollback. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { EndpointView } from "../../src/core/api/index.ts";
import { Load } from "../support/load.ts";
import { isRunning, startServer, until, type TestServer } from "../support/server.ts";
import { stage } from "../support/stage.ts";
import { quickCanary } from "../support/under-traffic.ts";

const OWN = join(import.meta.dirname, "../fixtures/python/own");
const folder = mkdtempSync(join(tmpdir(), "lastgood-own-managed-"));
let server: TestServer;

beforeAll(async () => {
  const own = {
    command: ["{python}", "serve.py"],
    protocol: "passthrough",
    health: "/health",
    retries: true,
    stopTimeout: "500ms",
  };
  const config = join(folder, "server.yaml");
  writeFileSync(config, JSON.stringify({ launchers: { own } }));
  server = await startServer({ args: ["--config", config, "--allow-code"] });
});

afterAll(async () => {
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

async function register(version: string, behaviour: object): Promise<void> {
  const path = join(folder, version);
  mkdirSync(path);
  cpSync(OWN, path, { recursive: true });
  writeFileSync(join(path, "behaviour.json"), JSON.stringify(behaviour));
  const runtime = ["--runtime", "process", "--launcher", "own"];
  await server.json(["register", "chat", path, ...runtime, "--version", version]);
}

test("streams come as they are sent; a candidate that fails now and then is sent back by its statuses, and no caller sees one", async () => {
  const on = stage(server, "chat");
  await register("v1.0", { says: "old", fails: 0 });
  await register("v1.1", { says: "young", fails: 4 });
  await server.client.applyPolicy("chat", {
    actor: "tester",
    policy: { model: "chat", ...quickCanary({}) },
  });
  await on.deploy("v1.0");
  const url = `${server.serveUrl}/endpoints/chat/v1/completions`;

  const streamed = await fetch(url, { method: "POST", body: "speak slowly" });
  expect(streamed.headers.get("x-lastgood-version")).toBe("v1.0");
  const parts: string[] = [];
  for await (const part of streamed.body ?? []) parts.push(new TextDecoder().decode(part));
  const words = ["/v1/completions", "speak", "slowly", "old"];
  expect(parts.join("")).toBe(words.map((word) => `data: ${word}\n\n`).join(""));
  expect(parts.length, "it comes part by part").toBeGreaterThan(1);

  const load = new Load({ url, bodies: ["hello"], concurrency: 6, pauseMs: 15 });
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

  // It is a managed server like any other: seen, and started again when it dies.
  const view = await server.json<EndpointView>(["status", "chat"]);
  expect(view).toMatchObject({ current: { version: "v1.0" } });
  const pid = view.revisions[0]?.process?.pid ?? 0;
  expect(view.revisions[0]?.process).toMatchObject({ launcher: "own" });
  process.kill(pid, "SIGKILL");
  const known = async (): Promise<boolean> => (await on.loaded()).every((each) => each.pid !== pid);
  await until("its death is known", known);
  // Whoever comes while it is started again waits for it.
  const again = await fetch(url, { method: "POST", body: "hello" });
  expect([again.status, (await again.text()).includes("old")]).toEqual([200, true]);
  expect(isRunning(pid)).toBe(false);
}, 180_000);
