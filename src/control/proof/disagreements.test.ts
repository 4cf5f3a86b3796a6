/** What a gateway found out by replaying samples outlives it, and ends only when samples agree. */
import { beforeEach, expect, test } from "vitest";

import { digestOf } from "../../../test/support/rollout-facts.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Proof } from "../../core/target/index.ts";
import { parseEndpointName, type Digest } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import type { DisagreementStore } from "../../storage/store/index.ts";
import { Disagreements } from "./disagreements.ts";
import { Proofs } from "./proofs.ts";

const DIGEST = digestOf(1);
const clock = { now: () => 7, monotonic: () => 7 };

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
const DISAGREES: RevisionState = {
  ...LOADED,
  state: "failed",
  why: "sample 1: 0.5 (was 0.9)",
  code: "preflight.rejected",
};

class Rows implements DisagreementStore {
  readonly rows = new Map<Digest, { readonly why: string; readonly at: number }>();
  isGone = false;

  #check(): void {
    if (this.isGone) throw new LastgoodError("store.unavailable", "the disk is full");
  }

  get(digest: Digest): ReturnType<DisagreementStore["get"]> {
    return Promise.resolve(this.rows.get(digest) ?? null);
  }

  async put({ digest, ...row }: Parameters<DisagreementStore["put"]>[0]): Promise<void> {
    this.#check();
    await Promise.resolve();
    this.rows.set(digest, row);
  }

  async forget(digest: Digest): Promise<void> {
    this.#check();
    await Promise.resolve();
    this.rows.delete(digest);
  }
}

let disagreements: Rows;
let known: Disagreements;

beforeEach(() => {
  disagreements = new Rows();
  known = new Disagreements({ store: { disagreements }, clock });
});

/** The proof once no gateway knows the version any more; its stored bytes are right. */
async function coldProof(): Promise<Proof | null> {
  const proofs = new Proofs({
    artifacts: { verify: () => Promise.resolve("ok") } as unknown as Artifacts,
    revisionStates: () => [],
    disagreement: (digest) => known.why(digest),
    clock,
  });
  const runtime = { kind: "onnx", file: "model.onnx" } as const;
  const files = [{ path: "model.onnx", digest: DIGEST, size: 1 }];
  const proof = await proofs.of("fraud-prod", [{ digest: DIGEST, files, runtime }], 0);
  return proof(DIGEST);
}

test("right bytes prove nothing of a version whose samples disagreed; a new control plane knows it too", async () => {
  expect(await coldProof()).toMatchObject({ holds: true, warm: false });
  await known.heard(DISAGREES);
  known = new Disagreements({ store: { disagreements }, clock });
  expect(await coldProof()).toEqual({
    holds: false,
    why: "sample 1: 0.5 (was 0.9)",
    samplesOnly: true,
  });
});

test("samples that agree end it; loaded without samples says nothing, nor does another failure", async () => {
  await known.heard(DISAGREES);
  await known.heard({ ...LOADED, samples: 0 });
  await known.heard({ ...DISAGREES, code: "artifact.corrupt" });
  await known.heard({ ...LOADED, state: "loading" });
  expect(await coldProof()).toMatchObject({ holds: false });
  await known.heard(LOADED);
  expect(await coldProof()).toMatchObject({ holds: true });
});

test("what came one after the other is taken one after the other", async () => {
  await known.heard(DISAGREES);
  await Promise.all([known.heard(LOADED), known.heard(DISAGREES)]);
  expect(disagreements.rows.size).toBe(1);
});

test("while the store takes nothing it is known all the same, and stored later", async () => {
  disagreements.isGone = true;
  await expect(known.heard(DISAGREES)).rejects.toMatchObject({ code: "store.unavailable" });
  expect(await coldProof()).toMatchObject({ holds: false });
  disagreements.isGone = false;
  await known.heard({ ...LOADED, digest: digestOf(2) });
  expect(disagreements.rows.get(DIGEST)).toEqual({ why: DISAGREES.why, at: 7 });
});
