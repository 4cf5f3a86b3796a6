import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";

import { afterEach, beforeEach, expect, test } from "vitest";

import type { Fetch } from "../../client/index.ts";
import { MlflowClient } from "./mlflow-client.ts";
import { mlflowOffers } from "./mlflow-source.ts";

let workspace = "";
beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), "lastgood-workspace-"));
});
afterEach(() => rmSync(workspace, { recursive: true }));

/** What the server has as version 1 of `fraud`. */
interface Held {
  readonly runId: string;
  readonly uri: string;
  readonly createdMs: number;
  readonly files: Readonly<Record<string, string>>;
}

const FIRST: Held = {
  runId: "run-1",
  uri: "mlflow-artifacts:/1/models/m-1/artifacts",
  createdMs: 1_795_863_419_763,
  files: { MLmodel: "flavors: 1", "conda.yaml": "old", "model.onnx": "OLDBYTES" },
};

/** A registry that holds one version, and breaks off at the file that is named. */
class Registry {
  held = FIRST;
  broken: string | null = null;
  readonly downloads: string[] = [];

  readonly fetch: Fetch = (url) => {
    const { pathname } = new URL(url);
    const name = /\/mlflow-artifacts\/artifacts\/.*\/([^/]+)$/.exec(pathname)?.[1];
    if (name !== undefined) this.downloads.push(name);
    if (name !== undefined && name === this.broken)
      return Promise.reject(new Error("killed in the middle"));
    const text = name === undefined ? JSON.stringify(this.#said(pathname)) : this.held.files[name];
    return Promise.resolve({
      ok: true,
      status: 200,
      body: Readable.from([Buffer.from(text ?? "")]),
      text: () => Promise.resolve(text ?? ""),
    });
  };

  #said(path: string): object {
    const { runId, uri, createdMs, files } = this.held;
    const version = { version: "1", run_id: runId, creation_timestamp: createdMs };
    if (path.endsWith("/registered-models/get")) return { registered_model: {} };
    if (path.endsWith("/model-versions/search")) return { model_versions: [version] };
    if (path.endsWith("/get-download-uri")) return { artifact_uri: uri };
    if (path.endsWith("/runs/get")) return { run: { data: {} } };
    const entries = Object.entries(files);
    return { files: entries.map(([name, text]) => ({ path: name, file_size: text.length })) };
  }
}

/** What a run brings, by path and content. */
async function brought(registry: Registry, maxFileBytes = 100): Promise<Record<string, string>> {
  const { fetch } = registry;
  const client = new MlflowClient({ url: "http://mlflow", fetch, headers: {}, pauseMs: 1 });
  const offers = await mlflowOffers(client, {
    model: "fraud",
    version: null,
    alias: null,
    as: null,
  });
  const { path } = (await offers[0]?.bring(workspace, maxFileBytes)) ?? { path: "" };
  return Object.fromEntries(
    readdirSync(path).map((name) => [name, readFileSync(join(path, name), "utf8")]),
  );
}

/** A run that was broken off at the last file of the first version. */
async function brokenOff(): Promise<Registry> {
  const registry = new Registry();
  registry.broken = "model.onnx";
  await expect(brought(registry)).rejects.toMatchObject({ code: "server.unreachable" });
  registry.broken = null;
  registry.downloads.splice(0);
  return registry;
}

test("of a version that was broken off, what came whole is not fetched again", async () => {
  const registry = await brokenOff();
  expect(await brought(registry)).toEqual(FIRST.files);
  expect(registry.downloads).toEqual(["model.onnx"]);
});

test.each<[string, Partial<Held>]>([
  ["run", { runId: "run-2" }],
  ["place", { uri: "mlflow-artifacts:/1/models/m-2/artifacts" }],
  ["time of making", { createdMs: FIRST.createdMs + 1 }],
])("a version that was deleted and made anew is fetched whole: another %s", async (_, other) => {
  const registry = await brokenOff();
  // Called and as long as the old ones.
  const files = { MLmodel: "flavors: 2", "conda.yaml": "new", "model.onnx": "NEWBYTES" };
  registry.held = { ...FIRST, ...other, files };
  expect(await brought(registry)).toEqual(files);
});

test("files that the server lists no longer are not brought, nor what else lies there", async () => {
  const registry = await brokenOff();
  writeFileSync(join(workspace, "stray.bin"), "left by another program");
  const files = { MLmodel: "flavors: 1", "model.onnx": "NEWBYTES" };
  registry.held = { ...FIRST, files };
  expect(await brought(registry)).toEqual(files);
});

test("a file that the server here would not take is not downloaded, nor what lies beside it", async () => {
  const registry = new Registry();
  await expect(brought(registry, 8)).rejects.toMatchObject({
    code: "body.too-large",
    message: expect.stringContaining("MLmodel has 10 bytes") as string,
  });
  expect(registry.downloads).toEqual([]);
});
