/** What tests of rollouts are made of: versions, a policy and a measured switch with nothing remarkable about them. */
import type { Policy } from "../../src/core/policy/index.ts";
import type { Measured } from "../../src/core/rollout/index.ts";
import type { VersionFacts } from "../../src/core/target/index.ts";
import { parseDigest, type Digest, type Signature } from "../../src/core/version/index.ts";

/** A digest that is told from others by its number. */
export function digestOf(number: number): Digest {
  return parseDigest(`sha256:${number.toString(16).padStart(64, "0")}`);
}

/** One float input, one float output; `dtype` makes another signature. */
export function signatureOf(dtype: "FP32" | "FP64" = "FP32"): Signature {
  return {
    inputs: [{ name: "amount", kind: "tensor", dtype, shape: [-1, 4] }],
    outputs: [{ name: "score", kind: "tensor", dtype: "FP32", shape: [-1] }],
  };
}

/** A registered version with nothing remarkable about it. */
export function versionOf(sequence: number, name: string | null): VersionFacts {
  return {
    name,
    sequence,
    digest: digestOf(sequence),
    runtime: { kind: "onnx", file: "model.onnx" },
    signature: signatureOf(),
    status: "pending",
    statusReason: null,
  };
}

/** A policy with nothing remarkable about it; the bake is an hour. */
export const POLICY: Policy = {
  rollout: { strategy: "blueGreen", steps: [], promotion: "automatic" },
  bakeMs: 3_600_000,
  holdback: 0.05,
  analysis: {
    alpha: 0.001,
    holdAlpha: 0.05,
    beta: 0.05,
    margin: { absolute: 0.01, relative: 1 },
    early: true,
    minRequests: 500,
    flushMs: 1_000,
    deadlineMs: 30_000,
    dispersion: "auto",
    metrics: [
      {
        name: "errorRate",
        kind: "errorRate",
        weight: 1,
        action: "rollback",
        tolerance: { absolute: 0.001, relative: 1 },
        max: null,
      },
    ],
    inconclusive: { action: "hold", deadlineMs: 6 * 3_600_000 },
    noData: { action: "hold", afterMs: 300_000 },
  },
  rollback: {
    automatic: true,
    fallback: true,
    cooldownMs: 600_000,
    atMost: { count: 3, withinMs: 24 * 3_600_000 },
  },
};

/** What a switch without any trouble measures. */
export const MEASURED: Measured = {
  switchMs: 2,
  lastOldAdmittedMs: 1,
  lastOldResponseMs: 3,
  failedRequests: 0,
  verified: true,
  durable: true,
};
