import type { ModelName, VersionName } from "../../../src/core/version/index.ts";
import type { Artifacts } from "../../../src/storage/artifacts/index.ts";
import type { StoredManifest } from "../../../src/storage/store/index.ts";
import { digestOf, signatureOf } from "../../support/rollout-facts.ts";
import type { KeptVersion } from "./memory-store.ts";

/** What a version really is, whatever anybody believes of it. */
export interface Truth {
  /** Its stored bytes are not what was registered. */
  corrupt: boolean;
  /** Its golden samples disagree. */
  wrong: boolean;
  /** It loads, but does not answer through the public port. */
  mute: boolean;
  /** Share of its requests that fail. */
  errorRate: number;
  /** Of what it answers, ms. */
  latencyMs: number;
}

export const MODEL = "fraud" as ModelName;
export const NAMES = ["v1.0", "v1.1", "v1.2", "v1.3", "v2.0"] as const;

/** A registered version with nothing remarkable about it. */
export function keptVersion(sequence: number, name: string): KeptVersion {
  const digest = digestOf(sequence);
  const runtime = { kind: "onnx", file: "model.onnx" } as const;
  const signature = signatureOf(name === "v2.0" ? "FP64" : "FP32");
  const shared = {
    model: MODEL,
    name: name as VersionName,
    sequence,
    runtime,
    files: [{ path: "model.onnx", digest, size: 1_000 }],
    signature,
    batching: { on: true } as const,
    engine: { name: "simulated", version: "1", threads: 1 },
    metrics: {},
    params: {},
    lineage: {},
    registeredAt: 0,
    registeredBy: "ana",
  };
  const manifest: StoredManifest = {
    ...shared,
    signature: signature as StoredManifest["signature"],
    golden: [],
    inputExample: null,
    reference: null,
  };
  const record = {
    ...shared,
    digest,
    status: "pending",
    statusReason: null,
    statusAt: 0,
    tags: {},
    aliases: [],
  } as const;
  return { manifest, record };
}

function none(): never {
  throw new Error("only the proof of stored bytes is simulated");
}

/** The versions' stored files, as far as proofs look at them. */
export function artifactsOf(
  truths: ReadonlyMap<string, Truth>,
  onRight: (digest: string) => void,
): Artifacts {
  return {
    put: none,
    read: none,
    open: none,
    size: none,
    verify: (digest) => {
      if (truths.get(digest)?.corrupt === true) return Promise.resolve("corrupt");
      onRight(digest);
      return Promise.resolve("ok");
    },
    manifests: { write: none, read: none, remove: none, models: none, sequences: none },
  };
}
