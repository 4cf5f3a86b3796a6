import { LastgoodError } from "../../core/errors/index.ts";
import {
  elementCount,
  isMapSequence,
  outputToWire,
  tensorToWire,
  type OutputValue,
  type Tensor,
  type WireSample,
} from "../../core/tensor/index.ts";
import {
  contractDifferences,
  goldenDifference,
  signatureSchema,
  type Batching,
  type OutputSpec,
  type Signature,
} from "../../core/version/index.ts";
import type { Inspected } from "../../link/message/index.ts";
import { generateSamples, type InspectRequest } from "../runtime/index.ts";
import { batchKey, joinInputs, rowsOf, sliceTensor, splitOutputs } from "./batch.ts";
import { runAlone, type ModelProcess } from "./process-control.ts";

/** Rows that golden samples hold together. */
const GOLDEN_ROWS = 16;
/** Elements that golden samples hold together: they travel with every route. */
const GOLDEN_ELEMENTS = 200_000;
/** Rows that the batching question is asked with. */
const BATCH_ROWS = 32;
const BATCH_TIMEOUT_MS = 60_000;

interface Sample {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly OutputValue[];
}

function elementsOf(sample: Sample): number {
  return [...sample.inputs, ...sample.outputs].reduce(
    (sum, value) => sum + (isMapSequence(value) ? value.values.length : value.data.length),
    0,
  );
}

/** What keeps inputs from being the signature's, or null. */
function misfit(signature: Signature, inputs: readonly Tensor[]): string | null {
  for (const spec of signature.inputs) {
    const input = inputs.find((each) => each.name === spec.name);
    if (input === undefined) return `input ${spec.name} is missing`;
    if (input.dtype !== spec.dtype)
      return `input ${spec.name} is ${input.dtype}, not ${spec.dtype}`;
    const fits =
      spec.shape.length === input.shape.length &&
      spec.shape.every((axis, index) => axis === -1 || axis === input.shape[index]);
    if (!fits || elementCount(input.shape) !== input.data.length)
      return `input ${spec.name} has shape [${input.shape.join(", ")}], not [${spec.shape.join(", ")}]`;
  }
  const unknown = inputs.find((input) => !signature.inputs.some(({ name }) => name === input.name));
  return unknown === undefined ? null : `the model has no input ${unknown.name}`;
}

/** The first rows of an example that is longer than all samples together may be. */
function shortened(
  signature: Signature,
  inputs: readonly Tensor[],
  rows: number,
): readonly Tensor[] {
  const own = rowsOf(inputs);
  const dynamic = signature.inputs.every((input) => input.shape[0] === -1);
  if (own === null || own <= rows || !dynamic) return inputs;
  return inputs.map((input) => sliceTensor(input, 0, rows));
}

/** Runs inputs twice: an answer that differs from run to run proves nothing later. */
async function record(model: ModelProcess, inputs: readonly Tensor[]): Promise<Sample> {
  const outputs = await runAlone(model, inputs);
  const difference = goldenDifference(outputs, await runAlone(model, inputs));
  if (difference !== null)
    throw new LastgoodError("runtime.failed", `its answer differs from run to run: ${difference}`);
  return { inputs, outputs };
}

class Samples {
  readonly kept: Sample[] = [];
  readonly dropped: string[] = [];
  readonly #model: ModelProcess;
  readonly #signature: Signature;
  #rows = 0;
  #elements = 0;

  constructor(model: ModelProcess, signature: Signature) {
    this.#model = model;
    this.#signature = signature;
  }

  async add(title: string, given: readonly Tensor[]): Promise<void> {
    const left = GOLDEN_ROWS - this.#rows;
    if (left <= 0) return;
    const wrong = misfit(this.#signature, given);
    if (wrong !== null) {
      this.dropped.push(`${title}: ${wrong}`);
      return;
    }
    const inputs = shortened(this.#signature, given, left);
    try {
      const sample = await record(this.#model, inputs);
      const elements = this.#elements + elementsOf(sample);
      if (elements > GOLDEN_ELEMENTS) {
        this.dropped.push(`${title}: too large to keep, samples hold ${GOLDEN_ELEMENTS} elements`);
        return;
      }
      this.kept.push(sample);
      this.#elements = elements;
      this.#rows += rowsOf(inputs) ?? 1;
    } catch (error) {
      const failure = LastgoodError.from(error);
      if (failure.code !== "runtime.failed") throw error;
      this.dropped.push(`${title}: ${failure.message}`);
    }
  }
}

/** An output's spec, opened where the model's own declaration is narrower than its answers. */
function loosened(spec: OutputSpec, samples: readonly Sample[]): OutputSpec {
  if (spec.kind !== "tensor") return spec;
  let shape = spec.shape;
  for (const { outputs } of samples) {
    const output = outputs.find((each) => each.name === spec.name);
    if (output === undefined || isMapSequence(output)) continue;
    const seen = output.shape;
    shape =
      shape.length === seen.length
        ? shape.map((axis, index) => (axis === seen[index] ? axis : -1))
        : seen.map(() => -1);
  }
  return { ...spec, shape };
}

function fixedFirstAxis(signature: Signature): string | null {
  if (signature.inputs.length === 0) return "the model takes no inputs";
  for (const spec of [...signature.inputs, ...signature.outputs]) {
    if (spec.kind !== "tensor" || spec.shape[0] === -1) continue;
    return `the first axis of ${spec.name} is ${spec.shape[0] === undefined ? "not there" : `fixed at ${spec.shape[0]}`}`;
  }
  return null;
}

interface Row {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly OutputValue[];
}

async function runRows(
  model: ModelProcess,
  samples: readonly (readonly Tensor[])[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const inputs of samples) {
    for (let row = 0; row < (rowsOf(inputs) ?? 0) && rows.length < BATCH_ROWS; row += 1) {
      const one = inputs.map((input) => sliceTensor(input, row, row + 1));
      try {
        rows.push({ inputs: one, outputs: await runAlone(model, one) });
      } catch (error) {
        if (LastgoodError.from(error).code !== "runtime.failed") throw error;
      }
    }
  }
  return rows;
}

async function differenceTogether(
  model: ModelProcess,
  rows: readonly Row[],
): Promise<string | null> {
  const requests = rows.map((row) => row.inputs);
  try {
    const ran = await model.run(joinInputs(requests, rows.length), BATCH_TIMEOUT_MS);
    const each = splitOutputs(
      ran.outputs,
      rows.map(() => 1),
    );
    if (each === null) return "its outputs do not have one row per row of input";
    for (const [index, row] of rows.entries()) {
      const difference = goldenDifference(row.outputs, each[index] ?? []);
      if (difference !== null)
        return `row ${index + 1} answers otherwise in company: ${difference}`;
    }
    return null;
  } catch (error) {
    if (LastgoodError.from(error).code !== "runtime.failed") throw error;
    return `its samples cannot be run together: ${LastgoodError.from(error).message}`;
  }
}

/** Whether rows of different requests may share a run: they answer alike together and one by one. */
async function decideBatching(
  model: ModelProcess,
  signature: Signature,
  samples: readonly (readonly Tensor[])[],
): Promise<Batching> {
  const fixed = fixedFirstAxis(signature);
  if (fixed !== null) return { on: false, why: fixed };
  const groups = Map.groupBy(await runRows(model, samples), (row) => batchKey(row.inputs));
  const shared = [...groups.values()].filter((rows) => rows.length > 1);
  if (shared.length === 0) return { on: false, why: "fewer than two rows could be run one by one" };
  for (const rows of shared) {
    const why = await differenceTogether(model, rows);
    if (why !== null) return { on: false, why };
  }
  return { on: true };
}

function toWire(sample: Sample): WireSample {
  return { inputs: sample.inputs.map(tensorToWire), outputs: sample.outputs.map(outputToWire) };
}

/**
 * Finds out what a loaded version is: signature, golden samples, whether it can be batched.
 * @throws `signature.mismatch` when the given signature is not the model's own.
 */
export async function inspectModel(
  model: ModelProcess,
  request: InspectRequest,
): Promise<Inspected> {
  const { signature: own, engine } = model.described;
  const samples = new Samples(model, own);
  const generated = generateSamples(own, request.digest);
  for (const [index, inputs] of request.examples.entries())
    await samples.add(`input example ${index + 1}`, inputs);
  if (request.examples.length === 0)
    for (const [index, inputs] of generated.entries())
      await samples.add(`generated sample ${index + 1}`, inputs);

  const signature: Signature = {
    inputs: own.inputs,
    outputs: own.outputs.map((spec) => loosened(spec, samples.kept)),
  };
  if (request.signature !== null) refuseMismatch(signature, request.signature);
  // Generated rows join in, because a single example row alone could never differ in company.
  const pool = [...samples.kept.map((sample) => sample.inputs), ...generated];
  return {
    signature: signatureSchema.parse(signature),
    golden: samples.kept.map(toWire),
    dropped: samples.dropped,
    batching: await decideBatching(model, signature, pool),
    engine,
  };
}

function refuseMismatch(own: Signature, given: Signature): void {
  const differences = contractDifferences(own, given);
  if (differences.length === 0) return;
  throw new LastgoodError(
    "signature.mismatch",
    `the given signature is not the model's own: ${differences.join("; ")}`,
    { details: { differences }, hint: "leave the signature out: it is read from the model" },
  );
}
