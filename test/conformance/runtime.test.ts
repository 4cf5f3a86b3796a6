import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import type { OutputValue, Tensor } from "../../src/core/tensor/index.ts";
import { goldenDifference } from "../../src/core/version/index.ts";
import type { LoadedModel, ModelClient } from "../../src/serving/runtime/index.ts";
import {
  connect,
  inspectRequest,
  onnxSubject,
  processSubject,
  remoteSubject,
  revisionOf,
  type Subject,
  type Version,
} from "./runtime-subjects.ts";

/** Every implementation, and the engine whose name its stamp must bear. */
const implementations = [
  { name: "onnx, native", engine: "onnxruntime-node", forced: "", make: onnxSubject },
  { name: "onnx, wasm", engine: "onnxruntime-web", forced: "wasm", make: onnxSubject },
  { name: "remote", engine: "onnx_onnxv1", forced: "", make: remoteSubject },
  { name: "process", engine: "python", forced: "", make: processSubject },
];

const patient = { timeoutMs: 20_000 };

function twoByTwo(rows: readonly number[]): Tensor[] {
  const a = Float32Array.from(rows.flatMap((row) => [row, row + 0.25, row + 0.5]));
  return [
    { name: "a", dtype: "FP32", shape: [rows.length, 3], data: a },
    { name: "b", dtype: "INT64", shape: [rows.length], data: BigInt64Array.from(rows.map(BigInt)) },
  ];
}

/** What the model computes, worked out here: total = a + b, twice = 2 b. */
function answerTo(rows: readonly number[]): OutputValue[] {
  const total = Float32Array.from(rows.flatMap((row) => [2 * row, 2 * row + 0.25, 2 * row + 0.5]));
  const twice = BigInt64Array.from(rows.map((row) => BigInt(2 * row)));
  return [
    { name: "total", dtype: "FP32", shape: [rows.length, 3], data: total },
    { name: "twice", dtype: "INT64", shape: [rows.length], data: twice },
  ];
}

function numbers(values: readonly number[]): Tensor[] {
  return [{ name: "x", dtype: "FP32", shape: [values.length, 1], data: Float32Array.from(values) }];
}

/** What `no-negatives` answers. */
function doubled(value: number): OutputValue[] {
  return [{ name: "y", dtype: "FP32", shape: [1, 1], data: Float32Array.of(2 * value) }];
}

describe.each(implementations)("$name", ({ engine, forced, make }) => {
  let subject: Subject;
  let twoVersion: Version;
  let throwing: Version;
  const cleanups: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    vi.stubEnv("LASTGOOD_ENGINE", forced);
    subject = make();
    twoVersion = await subject.version("two-by-two");
    throwing = await subject.version("no-negatives");
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  });
  afterAll(async () => {
    await subject.end();
    vi.unstubAllEnvs();
  });

  async function load(
    version: Version,
    examples: readonly (readonly Tensor[])[],
  ): Promise<{ readonly loaded: LoadedModel; readonly client: ModelClient }> {
    const inspected = await subject.runtime.inspect(inspectRequest(version, examples));
    const loaded = await subject.runtime.load("fraud/1", revisionOf(version, inspected));
    cleanups.push(() => loaded.unload());
    const client = await connect(loaded);
    cleanups.push(() => client.close());
    return { loaded, client };
  }

  test("a version is inspected: signature, golden samples with the right numbers, engine", async () => {
    const examples = [twoByTwo([1, 2]), twoByTwo([3])];
    const inspected = await subject.runtime.inspect(inspectRequest(twoVersion, examples));
    expect(inspected.signature.inputs).toEqual([
      { name: "a", kind: "tensor", dtype: "FP32", shape: [-1, 3] },
      { name: "b", kind: "tensor", dtype: "INT64", shape: [-1] },
    ]);
    expect(inspected.signature.outputs.map((output) => output.name)).toEqual(["total", "twice"]);
    expect(inspected.golden).toHaveLength(2);
    expect(inspected.golden[0]?.outputs).toEqual([
      { name: "total", dtype: "FP32", shape: [2, 3], data: [2, 2.25, 2.5, 4, 4.25, 4.5] },
      { name: "twice", dtype: "INT64", shape: [2], data: ["2", "4"] },
    ]);
    expect(inspected.dropped).toEqual([]);
    expect(inspected.engine.name).toBe(engine);
  });

  test("without examples samples are generated, the same ones each time", async () => {
    const first = await subject.runtime.inspect(inspectRequest(twoVersion));
    const second = await subject.runtime.inspect(inspectRequest(twoVersion));
    expect(first.golden.length).toBeGreaterThan(0);
    expect(second.golden).toEqual(first.golden);
  });

  test("an example that the version refuses becomes no sample, and it is said why", async () => {
    const examples = [numbers([1]), numbers([-1])];
    const { golden, dropped } = await subject.runtime.inspect(inspectRequest(throwing, examples));
    expect(golden).toHaveLength(1);
    expect(dropped).toHaveLength(1);
    expect(dropped[0]).toContain("input example 2");
  });

  test("a given signature that is not the version's own is refused with what differs", async () => {
    const { signature } = await subject.runtime.inspect(inspectRequest(twoVersion));
    const wrong = {
      ...signature,
      inputs: signature.inputs.map((input) => ({ ...input, dtype: "FP64" as const })),
    };
    await expect(
      subject.runtime.inspect(inspectRequest(twoVersion, [], wrong)),
    ).rejects.toMatchObject({ code: "signature.mismatch" });
    const again = await subject.runtime.inspect(inspectRequest(twoVersion, [], signature));
    expect(again.signature).toEqual(signature);
  });

  test("a loaded version says what was proven and by which engine", async () => {
    const { loaded } = await load(twoVersion, [twoByTwo([1, 2]), twoByTwo([3])]);
    expect(loaded.proof.proof).toContain("2 samples agree");
    expect(loaded.proof.engine?.name).toBe(engine);
    const renewed = await loaded.replay();
    expect(renewed.proof).toBe(loaded.proof.proof);
    expect(renewed.provenAt).toBeGreaterThanOrEqual(loaded.proof.provenAt);
  });

  test("it answers with the right numbers, together and one by one", async () => {
    const { client } = await load(twoVersion, [twoByTwo([1, 2])]);
    const rows = Array.from({ length: 40 }, (_, index) => index - 20);
    const together = await Promise.all(rows.map((row) => client.infer(twoByTwo([row]), patient)));
    for (const [index, row] of rows.entries()) {
      const single = await client.infer(twoByTwo([row]), { ...patient, alone: true });
      expect(single.batch).toBe(1);
      expect(goldenDifference(answerTo([row]), single.outputs)).toBeNull();
      expect(goldenDifference(answerTo([row]), together[index]?.outputs ?? [])).toBeNull();
    }
    const several = await client.infer(twoByTwo(rows), patient);
    expect(goldenDifference(answerTo(rows), several.outputs)).toBeNull();
    expect(several.modelMs).toBeGreaterThan(0);
    expect(client.pending).toBe(0);
  });

  test("a request that throws fails alone, whatever company it was in", async () => {
    const { client } = await load(throwing, [numbers([1])]);
    const values = [1, -1, 2, -2, 3];
    const settled = await Promise.allSettled(
      values.map((value) => client.infer(numbers([value]), patient)),
    );
    const outcomes = settled.map((each) =>
      each.status === "fulfilled"
        ? each.value.outputs
        : (each.reason as { readonly code: unknown }).code,
    );
    expect(outcomes).toEqual([
      doubled(1),
      "runtime.failed",
      doubled(2),
      "runtime.failed",
      doubled(3),
    ]);
  });

  test("recorded answers that the version does not give are named, and it is not loaded", async () => {
    const inspected = await subject.runtime.inspect(
      inspectRequest(twoVersion, [twoByTwo([1]), twoByTwo([2])]),
    );
    const [first, second] = inspected.golden;
    if (first === undefined || second === undefined) throw new Error("samples are missing");
    const forged = { ...second, outputs: first.outputs };
    const revision = { ...revisionOf(twoVersion, inspected), golden: [first, forged] };
    await expect(subject.runtime.load("fraud/1", revision)).rejects.toMatchObject({
      code: "preflight.rejected",
      message: expect.stringContaining("sample 2 of 2") as string,
    });
  });
});
