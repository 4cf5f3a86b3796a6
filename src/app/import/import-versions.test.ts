import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { LastgoodClient, type Fetch } from "../../client/index.ts";
import { LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import { importVersions, type ImportedVersion } from "./import-versions.ts";
import type { OfferedVersion } from "./offered-version.ts";

const cacheDir = mkdtempSync(join(tmpdir(), "lastgood-cache-"));
afterAll(() => rmSync(cacheDir, { recursive: true }));

/** A server that has no version of anything. */
const client = new LastgoodClient({
  url: "http://127.0.0.1:1",
  fetch: (url) => answer(200, url.endsWith("/blobs") ? { maxFileBytes: 10 } : []),
});

function failing(name: string, code: ErrorCode): OfferedVersion {
  const bring = (): Promise<never> => Promise.reject(new LastgoodError(code, "it cannot be had"));
  return { origin: `${name} ${code}`, model: "fraud", name, aliases: [], bring };
}

const onStart = (): void => undefined;

async function outcomes(...offers: readonly OfferedVersion[]): Promise<readonly string[]> {
  const done: ImportedVersion[] = [];
  const onVersion = (version: ImportedVersion): unknown => done.push(version);
  const how = { actor: "tester", dryRun: false, verify: false, said: {} };
  await importVersions(offers, { client, cacheDir, ...how, onStart, onVersion });
  return done.map(({ name, outcome }) => `${name} ${outcome}`);
}

test.each<ErrorCode>(["version.not-found", "preflight.rejected", "artifact.missing"])(
  "what is wrong with one version keeps no other: %s",
  async (code) => {
    expect(await outcomes(failing("v1", code), failing("v2", code))).toEqual([
      "v1 refused",
      "v2 refused",
    ]);
  },
);

function answer(status: number, body: object): ReturnType<Fetch> {
  const text = JSON.stringify(body);
  return Promise.resolve({ ok: status === 200, status, body: null, text: async () => text });
}

test("what serves them and what they take is said of every version, and wins over their folders", async () => {
  const bodies: unknown[] = [];
  const digest = `sha256:${createHash("sha256").update("serve").digest("hex")}`;
  const fetch: Fetch = (url, { method = "GET", body } = {}) => {
    if (method === "GET") return answer(200, url.endsWith("/blobs") ? { maxFileBytes: 10 } : []);
    if (url.endsWith("/blobs")) return answer(200, { digest, size: 5 });
    bodies.push(typeof body === "string" ? JSON.parse(body) : body);
    return answer(422, { code: "runtime.failed", title: "it does not start" });
  };
  const path = join(cacheDir, "serve.py");
  writeFileSync(path, "serve");
  const offers = ["v1", "v2"].map((name) => ({
    ...failing(name, "internal"),
    bring: () => Promise.resolve({ path }),
  }));
  const spec = { name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 1] } as const;
  const said = {
    launcher: "python",
    signature: { inputs: [spec], outputs: [{ ...spec, name: "y" }] },
    inputExample: { inputs: { x: [[1]] } },
  };
  await importVersions(offers, {
    client: new LastgoodClient({ url: "http://127.0.0.1:1", fetch }),
    cacheDir,
    actor: "tester",
    dryRun: false,
    verify: false,
    said,
    onStart,
    onVersion: () => undefined,
  });
  expect(bodies).toMatchObject([
    { name: "v1", runtime: "process", ...said },
    { name: "v2", runtime: "process", ...said },
  ]);
});

test("a file that the server would not take is not sent to it", async () => {
  const path = join(cacheDir, "large.bin");
  writeFileSync(path, "more than ten bytes");
  const large = { ...failing("v1", "internal"), bring: () => Promise.resolve({ path }) };
  expect(await outcomes(large, failing("v2", "artifact.missing"))).toEqual([
    "v1 refused",
    "v2 refused",
  ]);
});

test("a server that does not answer ends it", async () => {
  await expect(outcomes(failing("v1", "server.unreachable"))).rejects.toMatchObject({
    code: "server.unreachable",
  });
});
