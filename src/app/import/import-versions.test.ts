import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { LastgoodClient } from "../../client/index.ts";
import { LastgoodError, type ErrorCode } from "../../core/errors/index.ts";
import { importVersions, type ImportedVersion } from "./import-versions.ts";
import type { OfferedVersion } from "./offered-version.ts";

const cacheDir = mkdtempSync(join(tmpdir(), "lastgood-cache-"));
afterAll(() => rmSync(cacheDir, { recursive: true }));

/** A server that has no version of anything. */
const client = new LastgoodClient({
  url: "http://127.0.0.1:1",
  fetch: () =>
    Promise.resolve({
      ok: true,
      status: 200,
      body: null,
      text: () => Promise.resolve("[]"),
    }),
});

function failing(name: string, code: ErrorCode): OfferedVersion {
  const bring = (): Promise<never> => Promise.reject(new LastgoodError(code, "it cannot be had"));
  return { origin: `${name} ${code}`, model: "fraud", name, aliases: [], bring };
}

const onStart = (): void => undefined;

async function outcomes(...offers: readonly OfferedVersion[]): Promise<readonly string[]> {
  const done: ImportedVersion[] = [];
  const onVersion = (version: ImportedVersion): unknown => done.push(version);
  const how = { actor: "tester", dryRun: false, verify: false };
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

test("a server that does not answer ends it", async () => {
  await expect(outcomes(failing("v1", "server.unreachable"))).rejects.toMatchObject({
    code: "server.unreachable",
  });
});
