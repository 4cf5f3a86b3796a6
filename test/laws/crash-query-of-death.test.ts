/** A request that takes its model process down twice is answered 500; nobody else pays. */
import { readFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { TESTER } from "../support/iris-endpoint.ts";
import { Load, oipBody } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { startServer, until, type TestServer } from "../support/server.ts";

/** So many rows keep `v2.0-slow` busy for seconds; one row takes a few milliseconds. */
const SLOW_ROWS = 4_000;
/** Beyond what a process used before: starting and loading take less, the slow request far more. */
const BUSY_CPU_MS = 1_000;
const CLOCK_TICK_MS = 10;

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await server.register("digits", "v2.0", "digits/v2.0-slow.onnx");
  await server.client.deploy({ ...TESTER, reference: "digits@v2.0" });
});

afterAll(() => server.destroy());

/** CPU time that a process has used, ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
}

/** The model process, once it has computed so long that it can only be at the slow request. */
function busyModel(not: number | null, beyondMs: number): Promise<number> {
  return until("a model process is at the slow request", () => {
    const pid = server.pids.models.find((each) => each !== not);
    return pid !== undefined && cpuMs(pid) > beyondMs && pid;
  });
}

async function infer(body: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${server.serveUrl}/v2/models/digits-prod/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return { status: response.status, text: await response.text() };
}

test("a request that was in two crashes of its model process gets 500, and all others are answered", async () => {
  const rows = heldOutRows("digits").map((row) => row.features);
  const [idle] = server.pids.models;
  const usedBefore = cpuMs(idle ?? 0);
  const data = Array.from({ length: SLOW_ROWS }, (_, index) => rows[index % rows.length]).flat();
  const shape = [SLOW_ROWS, rows[0]?.length];
  const slow = infer(
    JSON.stringify({ inputs: [{ name: "features", shape, datatype: "FP32", data }] }),
  );
  const first = await busyModel(null, usedBefore + BUSY_CPU_MS / 2);
  const load = new Load({
    url: `${server.serveUrl}/v2/models/digits-prod/infer`,
    bodies: rows.slice(0, 50).map((row) => oipBody(row)),
    concurrency: 16,
  });
  process.kill(first, "SIGKILL");
  const second = await busyModel(first, usedBefore + BUSY_CPU_MS);
  process.kill(second, "SIGKILL");
  const died = await slow;
  expect(died.status).toBe(500);
  expect(JSON.parse(died.text)).toMatchObject({
    error: expect.stringContaining("died twice with this request in it"),
  });
  // Those that waited meanwhile, and some more on the replacement.
  await until("others are answered", () => load.answers.length > 50);
  const answers = await load.stop();
  expect(load.failures).toEqual([]);
  expect(new Set(answers.map((answer) => answer.version))).toEqual(new Set(["v2.0"]));
  expect(server.pids.models).toHaveLength(1);
  expect(server.pids.models).not.toContain(second);
});
