/** What an incident shows of the requests that a candidate could not take, and that nothing more is kept. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Incident } from "../../src/core/api/index.ts";
import { Load, oipBody } from "../support/load.ts";
import { Managed, managedServers } from "../support/managed.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { quickCanary } from "../support/under-traffic.ts";

/** What a person sent, which nobody may find anywhere. */
const SENTINEL = 7_654_321.5;
const BODIES = [1, 2, -SENTINEL].map((value) => oipBody([value], "x"));

const folder = mkdtempSync(join(tmpdir(), "lastgood-inputs-"));
let server: TestServer;

beforeAll(async () => {
  server = await startServer({
    args: managedServers(folder, { incidents: { inputs: "redacted" } }),
  });
});

afterAll(async () => {
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** A candidate that cannot take negative values meets one; its incident, by the command line. */
async function incidentOf(
  on: TestServer,
  name: string,
  settings: object,
): Promise<{ readonly incident: Incident; readonly text: string }> {
  const stage = await Managed.start(on, name, { policy: quickCanary() });
  await stage.load.stop();
  await stage.registerServer("v1.1", settings);
  const load = new Load({ url: stage.url, bodies: BODIES, concurrency: 2, pauseMs: 15 });
  expect(await stage.rollsOut("v1.1")).toMatch(/^RolledBack: /);
  const [newest] = (await on.client.incidents(name)).incidents;
  const id = newest?.id ?? "";
  const incident = await until("its errors are told", async () => {
    const { value } = await stage.tell<Incident>("incident", id);
    return value.errors.length > 0 ? value : null;
  });
  await load.stop();
  const { stdout } = await on.cli(["incident", id]);
  return { incident, text: stdout };
}

/** Files of the data folder that hold one of these. */
function filesWith({ dataDir }: TestServer, ...wanted: readonly (string | Buffer)[]): string[] {
  const entries = readdirSync(dataDir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const content = readFileSync(path);
      return wanted.some((each) => content.includes(each));
    });
}

/** Files that hold what the person sent, as text or as it came to the model. */
function filesWithSentinel(on: TestServer): string[] {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(-SENTINEL);
  return filesWith(on, String(SENTINEL), bytes);
}

const KEPT = '"kind":"tensors"';
const NEGATIVE = {
  kind: "tensors",
  tensors: [{ name: "x", dtype: "FP32", shape: [1, 1], negative: 1, least: -1e6, most: -1e6 }],
  leftOut: 0,
};

test("it shows what was wrong with the request that it threw at, and not what was in it", async () => {
  const { incident, text } = await incidentOf(server, "throws", { model: "no-negatives" });
  const [error] = incident.errors;
  expect(error?.message).toContain("there is a negative value");
  expect(error?.requestId).not.toBeNull();
  expect(error?.inputs).toEqual(NEGATIVE);
  expect(text).toMatch(
    /there is a negative value.*\n {2}x FP32\[1,1\]: 1 negative; values about -1000000\n/,
  );
  expect(filesWithSentinel(server)).toEqual([]);
  expect(filesWith(server, KEPT), "what is kept is where one can find it").not.toEqual([]);
}, 120_000);

test("one that ends its process is shown too", async () => {
  const { incident } = await incidentOf(server, "dies", { behaviour: "exit-on-negatives" });
  const killed = incident.errors.filter(({ inputs }) => inputs !== null);
  expect(killed).not.toEqual([]);
  for (const { message, inputs } of killed) {
    expect(message).toMatch(/died twice with this request in it/);
    expect(inputs).toEqual(NEGATIVE);
  }
  expect(filesWithSentinel(server)).toEqual([]);
}, 120_000);

test("by default nothing of it is kept anywhere", async () => {
  const own = mkdtempSync(join(tmpdir(), "lastgood-inputs-"));
  const other = await startServer({ args: managedServers(own) });
  try {
    const { incident, text } = await incidentOf(other, "throws", { model: "no-negatives" });
    expect(incident.errors[0]?.message).toContain("there is a negative value");
    expect(incident.errors.map(({ inputs }) => inputs)).toEqual(incident.errors.map(() => null));
    expect(text).toContain("no inputs were kept (incidents.inputs in server.yaml)");
    expect(await other.terminate()).toBe(0);
    expect(filesWithSentinel(other)).toEqual([]);
    expect(filesWith(other, KEPT)).toEqual([]);
  } finally {
    await other.destroy();
    rmSync(own, { recursive: true, force: true });
  }
}, 120_000);
