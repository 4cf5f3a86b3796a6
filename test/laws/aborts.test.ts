/** An abort where there is nothing to see yet, and where a way back is gone already. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { DoublingRemote } from "../support/canary.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { stage, type Stage } from "../support/stage.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-aborts-"));
let server: TestServer;
let old: DoublingRemote;
let young: DoublingRemote;
let on: Stage;

beforeAll(async () => {
  [old, young] = await Promise.all([DoublingRemote.start(), DoublingRemote.start()]);
  const config = join(folder, "server.yaml");
  // Every JSON is YAML.
  const remotes = { old: old.settings(true), young: young.settings(true) };
  writeFileSync(config, JSON.stringify({ remotes }));
  server = await startServer({ args: ["--config", config] });
  on = stage(server, "aborted");
  for (const [version, remote] of [
    ["v1.0", "old"],
    ["v1.1", "young"],
  ] as const)
    await server.client.register("aborted", {
      name: version,
      runtime: "remote",
      remote,
      inputExample: { inputs: { x: [[1], [2]] } },
      actor: "tester",
    });
  await on.deploy("v1.0");
});

afterAll(async () => {
  old.speakUp();
  young.speakUp();
  await server.destroy();
  await Promise.all([old.stop(), young.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

async function phase(): Promise<string | undefined> {
  return (await on.view()).rollout?.phase;
}

test("in Preparing: at rest at once, the waiting deploy hears it, nobody is judged", async () => {
  young.fails = "silent";
  const deploying = server.cli(["deploy", "aborted@v1.1", "--wait", "--json"]);
  await until("it is being prepared", async () => (await phase()) === "Preparing");
  const { code, stdout } = await server.cli(["rollout", "abort", "--reason", "not today"]);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("aborted") });
  const waited = await deploying;
  expect(waited.code).toBe(6);
  expect(JSON.parse(waited.stdout)).toMatchObject({ error: { code: "rollout.superseded" } });
  young.speakUp();
  const { rollout, current, revisions, lastRollout } = await on.view();
  expect({ rollout, current }).toMatchObject({ rollout: null, current: { version: "v1.0" } });
  expect(lastRollout).toMatchObject({ phase: "Aborted", weight: 0 });
  expect(revisions.find(({ version }) => version === "v1.1")?.status).toBe("aborted");
  expect((await server.client.version("aborted", "v1.1")).status).toBe("pending");
});

test("in RollingBack: refused with what is under way, and the way back is gone to its end", async () => {
  await on.deploy("v1.1", { bakeMs: 600_000, force: true });
  old.fails = "silent";
  const back = server.cli(["rollback", "--reason", "wrong", "--json"]);
  await until("it goes back", async () => (await phase()) === "RollingBack");
  const refusal = await on.refused(4, "rollout", "abort", "aborted");
  expect(refusal.code).toBe("rollout.phase");
  expect(refusal.message).toMatch(/v1\.0|rollback|way back/);
  expect(refusal.hint).not.toBeNull();
  old.speakUp();
  const gone = await back;
  expect(gone.code).toBe(0);
  expect(JSON.parse(gone.stdout)).toMatchObject({ to: { version: "v1.0" }, verified: true });
  expect(await on.view()).toMatchObject({ current: { version: "v1.0" }, rollout: null });
});
