/** `serve -m` on a scikit-learn model folder, in the place of `mlflow models serve`: both are asked the same. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { ErrorBody } from "../../src/core/errors/index.ts";
import { heldOutRows } from "../support/rows.ts";
import { freePort, startServer, until, type TestServer } from "../support/server.ts";
import { pythonOf } from "./environments.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-serve-folder-"));
const rows = heldOutRows("iris").map((row) => row.features);
const columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
let server: TestServer;
let config: readonly string[];
let theirs: ChildProcess | null = null;

beforeAll(async () => {
  execFileSync(
    pythonOf("mlflow"),
    [join(import.meta.dirname, "servers/mlflow_models.py"), folder],
    {
      stdio: ["ignore", "ignore", "inherit"],
      cwd: folder,
    },
  );
  const file = join(folder, "server.yaml");
  // The folder's requirements are installed already.
  const mlflow = { python: pythonOf("mlflow"), environment: "none" };
  writeFileSync(file, JSON.stringify({ launchers: { mlflow } }));
  config = ["--config", file];
  server = await startServer();
  await server.terminate();
});

afterAll(async () => {
  endMlflow();
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

function serveFolder(name: string): readonly string[] {
  return ["-m", join(folder, name), "-p", String(server.ports.serve)];
}

async function invoke(url: string, body: unknown): Promise<{ status: number; body: string }> {
  const response = await fetch(`${url}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.text() };
}

/** MLflow's own server on the folder; gives its URL once it is ready. */
async function startMlflow(name: string): Promise<string> {
  const port = await freePort();
  const python = pythonOf("mlflow");
  const model = ["--model-uri", join(folder, name), "--env-manager", "local"];
  theirs = spawn(python, ["-m", "mlflow", "models", "serve", ...model, "--port", String(port)], {
    stdio: "ignore",
    // A group of its own: it starts uvicorn, which would outlive it.
    detached: true,
    // It calls uvicorn by its name.
    env: { ...process.env, PATH: `${dirname(python)}:${process.env["PATH"] ?? ""}` },
  });
  const url = `http://127.0.0.1:${port}`;
  await until("MLflow's server is ready", () => isOk(`${url}/ping`), 120_000);
  return url;
}

function endMlflow(): void {
  if (theirs?.pid !== undefined && theirs.exitCode === null) process.kill(-theirs.pid, "SIGKILL");
  theirs = null;
}

async function isOk(url: string): Promise<boolean> {
  return (await fetch(url).catch(() => null))?.ok === true;
}

test("without --allow-code it is refused, saying why and what to type", async () => {
  await server.start({ args: config });
  const { code, stdout } = await server.cli(["serve", ...serveFolder("table"), "--json"]);
  expect(code).toBe(4);
  const { error } = JSON.parse(stdout) as { readonly error: ErrorBody };
  expect(error).toMatchObject({
    code: "code.not-allowed",
    hint: expect.stringContaining("--allow-code") as string,
  });
  await server.terminate();
}, 120_000);

const table = [
  { dataframe_split: { columns, data: rows } },
  {
    dataframe_records: rows.map((row) =>
      Object.fromEntries(row.map((x, at) => [columns[at] ?? "", x])),
    ),
  },
];
const scaled = [
  { dataframe_records: [{ x: 1 }, { x: 2.5 }] },
  { inputs: { x: [1.5] } },
  { instances: [{ x: 3 }], params: {} },
];

test.each([
  ["a scikit-learn model", "table", table],
  ["one without a signature", "undescribed", table],
  ["one that answers with a data frame", "frames", scaled],
  [
    "one that takes parameters",
    "parameters",
    [...scaled, { inputs: { x: [1.5] }, params: { by: 10 } }],
  ],
])(
  "with it, %s is served on the port and answers as MLflow's own server does",
  async (_, name, bodies) => {
    await server.destroy();
    server = await startServer({ args: [...config, "--allow-code"] });
    const { code } = await server.cli(["serve", ...serveFolder(name)], {}, undefined, 240_000);
    expect(code).toBe(0);
    const ours = server.serveUrl;
    await until("it serves", async () => (await invoke(ours, bodies[0])).status === 200, 120_000);
    const url = await startMlflow(name);
    for (const body of bodies) expect(await invoke(ours, body)).toEqual(await invoke(url, body));
    expect(await isOk(`${ours}/ping`)).toBe(true);
    endMlflow();
  },
  300_000,
);
