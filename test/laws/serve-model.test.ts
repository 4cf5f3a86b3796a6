import { mkdtempSync } from "node:fs";
/** `serve -m`: answers as `mlflow models serve` does, and switches the model on the open port. */
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { ErrorBody } from "../../src/core/errors/index.ts";
import { Load } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import {
  freePort,
  startServer,
  until,
  type CliResult,
  type TestServer,
} from "../support/server.ts";

let server: TestServer;
const body = JSON.stringify({
  inputs: heldOutRows("iris")
    .slice(0, 2)
    .map((row) => row.features),
});

beforeAll(async () => {
  server = await startServer();
  for (const version of ["v1.0", "v1.1"])
    await server.register("iris", version, `iris/${version}.onnx`);
  await server.register("iris", "v2.0", "iris/v2.0-scaled.onnx");
  await server.terminate();
  await server.start({ args: ["-m", "models:/iris/1", "-p", String(server.ports.serve)] });
});

afterAll(() => server.destroy());

function serveModel(reference: string, ...args: readonly string[]): Promise<CliResult> {
  return server.cli(["serve", "-m", reference, ...args, "--json"]);
}

async function answeredBy(): Promise<string | null> {
  const response = await fetch(`${server.serveUrl}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body,
  });
  await response.arrayBuffer();
  return response.status === 200 ? response.headers.get("x-lastgood-version") : null;
}

test("one version is served at the bare addresses of MLflow", async () => {
  await until("it serves", async () => (await answeredBy()) === "v1.0");
  expect((await fetch(`${server.serveUrl}/ping`)).status).toBe(200);
  const current = await until("the deploy is done", async () => {
    const { endpoints } = await server.client.status();
    return endpoints.find(({ name }) => name === "iris-prod")?.current;
  });
  expect(current).toMatchObject({ version: "v1.0" });
});

test("typed again it switches that open port: a deploy, then a rollback to what was served before", async () => {
  const port = String(server.ports.serve);
  const { pid, pids } = server;
  const load = new Load({
    url: `${server.serveUrl}/invocations`,
    bodies: [body],
    concurrency: 8,
    pauseMs: 5,
  });
  const forth = await serveModel("models:/iris/2", "-p", port);
  expect(forth.code, `with ${forth.stdout}`).toBe(0);
  expect(JSON.parse(forth.stdout)).toMatchObject({
    endpoint: "iris-prod",
    version: "iris@v1.1",
    by: "deploy",
    verified: true,
    failedRequests: 0,
  });
  expect(await answeredBy()).toBe("v1.1");
  const back = await serveModel("iris@v1.0", "-p", port);
  expect(back.code, `with ${back.stdout}`).toBe(0);
  expect(JSON.parse(back.stdout)).toMatchObject({
    version: "iris@v1.0",
    by: "rollback",
    verified: true,
    failedRequests: 0,
  });
  expect(await answeredBy()).toBe("v1.0");
  const same = await serveModel("models:/iris/1");
  expect(JSON.parse(same.stdout)).toMatchObject({ by: "none", version: "iris@v1.0" });
  await load.stop();
  expect(load.failures).toEqual([]);
  expect([server.pid, server.pids.gateway]).toEqual([pid, pids.gateway]);
});

test("another port is refused and names the server; what is no version says what to type", async () => {
  const elsewhere = await serveModel("models:/iris/2", "-p", String(await freePort()));
  expect(elsewhere.code).toBe(4);
  const { error } = JSON.parse(elsewhere.stdout) as { error: ErrorBody };
  expect(error.code).toBe("server.running");
  expect(`${error.message} ${error.hint}`).toContain(String(server.pid));
  expect(await serveModel("models:/iris/9")).toMatchObject({ code: 1 });
  const file = await serveModel("./model.onnx");
  expect(file.code).toBe(2);
  expect(file.stdout).toContain("./model.onnx cannot be registered");
  expect(await answeredBy()).toBe("v1.0");
});

test("a second server on the data folder is refused, a stranger's port is named with its pid", async () => {
  const second = await server.cli([
    "serve",
    "--json",
    "--api-address",
    `127.0.0.1:${await freePort()}`,
    "--serve-address",
    `127.0.0.1:${await freePort()}`,
  ]);
  expect(second.code).toBe(4);
  expect(second.stdout).toContain("server.running");

  const stranger = createServer();
  const port = await new Promise<number>((resolve) => {
    stranger.listen(0, "127.0.0.1", () => {
      const address = stranger.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  try {
    const other = mkdtempSync(join(tmpdir(), "lastgood-law-"));
    const taken = await server.cli(
      [
        "serve",
        "-m",
        "models:/iris/1",
        "-p",
        String(port),
        "--json",
        "--api-address",
        `127.0.0.1:${await freePort()}`,
      ],
      { LASTGOOD_DATA_DIR: other },
    );
    expect(taken.code, `with ${taken.stdout}`).toBe(4);
    const { error } = JSON.parse(taken.stdout) as { error: ErrorBody };
    expect(error.code).toBe("address.in-use");
    expect(error.message).toContain(String(process.pid));
  } finally {
    stranger.close();
  }
});

test("after a restart without -m the endpoint serves on, at its own address", async () => {
  expect(await server.terminate()).toBe(0);
  await server.start({ args: [] });
  const response = await fetch(`${server.serveUrl}/endpoints/iris-prod/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  expect(response.headers.get("x-lastgood-version")).toBe("v1.0");
});
