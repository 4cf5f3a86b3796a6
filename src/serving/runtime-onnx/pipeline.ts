import { LastgoodError } from "../../core/errors/index.ts";
import { isMapSequence, type OutputValue, type Tensor } from "../../core/tensor/index.ts";
import { describeSpec, type PipelineStep, type Signature } from "../../core/version/index.ts";
import type { Engine } from "./engine.ts";
import { openSession, type OnnxSession } from "./session.ts";

/** The bytes of one step. */
export interface StepBytes {
  readonly step: PipelineStep["step"];
  readonly bytes: Uint8Array;
}

interface Step {
  readonly step: PipelineStep["step"];
  readonly session: OnnxSession;
  /** For each of its inputs, the output of the step before that feeds it; null for the first step. */
  readonly feeds: ReadonlyMap<string, string> | null;
}

type Named = Pick<Step, "step"> & { readonly signature: Signature };

/** An error of one step of several, told with the step. */
export function ofStep(step: PipelineStep["step"], error: unknown): LastgoodError {
  const { code, message, hint, details, cause } = LastgoodError.from(error);
  return new LastgoodError(code, `${step}: ${message}`, { hint, details, cause });
}

function fits(given: readonly number[], taken: readonly number[]): boolean {
  // ONNX says nothing of some outputs' rank, and the engine gives that as no axes.
  if (given.length === 0) return true;
  return (
    given.length === taken.length &&
    given.every((axis, index) => axis === -1 || taken[index] === -1 || axis === taken[index])
  );
}

/**
 * Which output of `giver` feeds which input of `taker`: by name; a single output feeds a single input
 * whatever they are called.
 * @throws `signature.mismatch` naming each input that is fed by nothing, or by something else.
 */
function feedsOf(giver: Named, taker: Named): ReadonlyMap<string, string> {
  const { outputs } = giver.signature;
  const { inputs } = taker.signature;
  const isLine = outputs.length === 1 && inputs.length === 1;
  const feeds = new Map<string, string>();
  const wrong: string[] = [];
  for (const input of inputs) {
    const output = isLine ? outputs[0] : outputs.find((each) => each.name === input.name);
    const takes = `${taker.step} takes ${describeSpec(input)}`;
    if (output === undefined)
      wrong.push(`${takes}, ${giver.step} gives ${outputs.map(describeSpec).join(", ")}`);
    else if (
      output.kind !== "tensor" ||
      output.dtype !== input.dtype ||
      !fits(output.shape, input.shape)
    )
      wrong.push(`${takes}, ${giver.step} gives ${describeSpec(output)}`);
    else feeds.set(input.name, output.name);
  }
  if (wrong.length === 0) return feeds;
  throw new LastgoodError("signature.mismatch", `the steps do not fit: ${wrong.join("; ")}`, {
    hint: "outputs feed the inputs of the same name, with the same type and shape; classifiers are exported with zipmap=False",
    details: { from: giver.step, to: taker.step, differences: wrong },
  });
}

function feed(outputs: readonly OutputValue[], feeds: ReadonlyMap<string, string>): Tensor[] {
  return [...feeds].map(([name, from]) => {
    const output = outputs.find((each) => each.name === from);
    if (output === undefined || isMapSequence(output))
      throw new LastgoodError("runtime.failed", `the step before gave no tensor ${from}`);
    return { ...output, name };
  });
}

async function open(engine: Engine, given: readonly StepBytes[]): Promise<Step[]> {
  const steps: Step[] = [];
  for (const { step, bytes } of given) {
    let session: OnnxSession;
    try {
      session = await openSession(engine, bytes);
    } catch (error) {
      throw given.length === 1 ? error : ofStep(step, error);
    }
    const before = steps.at(-1);
    const feeds =
      before === undefined
        ? null
        : feedsOf(
            { step: before.step, signature: before.session.signature },
            { step, signature: session.signature },
          );
    steps.push({ step, session, feeds });
  }
  return steps;
}

/**
 * Loads the steps of a version as one: it takes what the first takes and gives what the last gives.
 * @throws `artifact.invalid` as `openSession` does; `signature.mismatch` when a step does not take
 * what the one before it gives.
 */
export async function openPipeline(
  engine: Engine,
  given: readonly StepBytes[],
): Promise<OnnxSession> {
  const steps = await open(engine, given);
  const [first] = steps;
  const last = steps.at(-1);
  if (first === undefined || last === undefined)
    throw new LastgoodError("internal", "a version without steps cannot be loaded");
  if (first === last) return first.session;

  async function run(inputs: readonly Tensor[]): Promise<readonly OutputValue[]> {
    let values: readonly OutputValue[] = [];
    for (const { step, session, feeds } of steps) {
      try {
        values = await session.run(feeds === null ? inputs : feed(values, feeds));
      } catch (error) {
        throw ofStep(step, error);
      }
    }
    return values;
  }

  return {
    signature: { inputs: first.session.signature.inputs, outputs: last.session.signature.outputs },
    run,
    release: async () => {
      for (const { session } of steps) await session.release();
    },
  };
}
