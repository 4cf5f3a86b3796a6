/** What is proven of a version: by gateways while it is loaded, else by its stored bytes. */
import { expect, test } from "vitest";

import { digestOf } from "../../../test/support/rollout-facts.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Proof } from "../../core/target/index.ts";
import { parseEndpointName, type Digest } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import { Proofs, type ProofAge } from "./proofs.ts";

type Verification = Awaited<ReturnType<Artifacts["verify"]>>;

const DIGEST = digestOf(1);
const LOADED: RevisionState = {
  endpoint: parseEndpointName("fraud-prod"),
  revision: 1,
  digest: DIGEST,
  state: "ready",
  proof: "digest verified, 3 samples agree",
  provenAt: 7,
  samples: 3,
  why: null,
  code: null,
  engine: null,
  pid: 1,
};
const COLD = { holds: true, warm: false, provenAt: null };

interface Facts {
  readonly states?: readonly RevisionState[];
  readonly disagreement?: string;
}

/** Proofs over two stored files, how often a file was hashed, and what may change meanwhile. */
function proving({ states = [], disagreement }: Facts = {}): {
  readonly of: (age?: ProofAge, twice?: boolean) => Promise<Proof | null>;
  readonly stored: Map<Digest, Verification | Error>;
  readonly hashed: Digest[];
  /** On the monotonic clock. */
  now: number;
} {
  const files = ["model.onnx", "labels.json"].map((path, index) => ({
    path,
    digest: digestOf(index + 2),
    size: 1,
  }));
  const stored = new Map<Digest, Verification | Error>();
  const hashed: Digest[] = [];
  const version = { digest: DIGEST, files, runtime: { kind: "onnx", file: "model.onnx" } } as const;
  const stage = {
    stored,
    hashed,
    now: 1_000,
    of: async (age: ProofAge = 0, twice = false) =>
      (await proofs.of("fraud-prod", twice ? [version, version] : [version], age))(DIGEST),
  };
  const verify = (digest: Digest): Promise<Verification> => {
    hashed.push(digest);
    const found = stored.get(digest) ?? "ok";
    return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
  };
  const proofs = new Proofs({
    artifacts: { verify } as unknown as Artifacts,
    revisionStates: () => states,
    disagreement: () => Promise.resolve(disagreement ?? null),
    // A wall clock that is set back all the time.
    clock: { now: () => -stage.now, monotonic: () => stage.now },
  });
  return stage;
}

test("what every gateway has ready is proven without reading a disk, since the oldest of their replays", async () => {
  const states = [LOADED, { ...LOADED, provenAt: 5 }, { ...LOADED, state: "loading" as const }];
  const stage = proving({ states });
  expect(await stage.of()).toEqual({ holds: true, warm: true, provenAt: 5 });
  expect(stage.hashed).toEqual([]);
});

test("what one gateway found bad does not hold, whatever others say; force overrides samples, never bytes", async () => {
  const bad = { ...LOADED, state: "failed" as const, why: "sample 1: 0.5 (was 0.9)" };
  const samples = { ...bad, code: "preflight.rejected" as const };
  const bytes = { ...bad, code: "artifact.corrupt" as const };
  expect(await proving({ states: [LOADED, samples] }).of()).toEqual({
    holds: false,
    why: bad.why,
    samplesOnly: true,
  });
  expect(await proving({ states: [LOADED, bytes] }).of()).toEqual({ holds: false, why: bad.why });
});

test("what no gateway has ready is proven by its stored files, each of them", async () => {
  const notReady = [{ ...LOADED, state: "loading" as const }];
  const elsewhere = [
    { ...LOADED, endpoint: parseEndpointName("other") },
    { ...LOADED, digest: digestOf(9) },
  ];
  for (const states of [[], notReady, elsewhere]) {
    const stage = proving({ states });
    expect(await stage.of()).toEqual(COLD);
    expect(stage.hashed).toEqual([digestOf(2), digestOf(3)]);
  }
  const stage = proving();
  stage.stored.set(digestOf(3), "corrupt");
  expect(await stage.of()).toEqual({
    holds: false,
    why: "labels.json does not match its digest",
  });
  stage.stored.set(digestOf(2), "missing");
  expect(await stage.of()).toEqual({ holds: false, why: "model.onnx is missing from the store" });
});

test("a file that cannot be read proves nothing, and keeps nobody from proving others", async () => {
  const stage = proving();
  const why = "the data folder cannot be read: EIO: i/o error, read";
  stage.stored.set(digestOf(2), new LastgoodError("store.unavailable", why));
  expect(await stage.of()).toEqual({ holds: false, why: `model.onnx cannot be read: ${why}` });
});

test("what is known is told at any age without reading a disk; of what nothing is known there is no proof", async () => {
  const stage = proving();
  expect(await stage.of("known")).toBeNull();
  expect(stage.hashed).toEqual([]);
  await stage.of(0);
  stage.now += 24 * 3_600_000;
  expect(await stage.of("known")).toEqual(COLD);
  expect(stage.hashed).toHaveLength(2);
  expect(await proving({ states: [LOADED] }).of("known")).toMatchObject({ warm: true });
});

test("right bytes whose samples disagreed last do not hold", async () => {
  const why = "sample 1: 0.5 (was 0.9)";
  expect(await proving({ disagreement: why }).of()).toEqual({
    holds: false,
    why,
    samplesOnly: true,
  });
});

test("files are hashed once per question, and again when the last time is too long ago", async () => {
  const stage = proving();
  await stage.of(100, true);
  stage.stored.set(digestOf(2), "corrupt");
  stage.now += 99;
  expect(await stage.of(100)).toEqual(COLD);
  expect(stage.hashed).toHaveLength(2);
  stage.now += 1;
  expect(await stage.of(100)).toMatchObject({ holds: false });
  stage.stored.clear();
  expect(await stage.of(100), "a bad verdict is as old").toMatchObject({ holds: false });
  expect(await stage.of(0)).toEqual(COLD);
});

test("what was not asked for is not proven", async () => {
  const proofs = new Proofs({
    artifacts: {} as Artifacts,
    revisionStates: () => [LOADED],
    disagreement: () => Promise.resolve(null),
    clock: { now: () => 0, monotonic: () => 0 },
  });
  expect((await proofs.of("fraud-prod", [], 0))(DIGEST)).toBeNull();
});
