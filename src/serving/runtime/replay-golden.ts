import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import { goldenDifference, sampleFromWire } from "../../core/version/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";

/** Runs one set of inputs by itself. @throws `runtime.failed` when the version threw. */
type RunAlone = (inputs: readonly Tensor[]) => Promise<readonly OutputValue[]>;

async function difference(
  run: RunAlone,
  inputs: readonly Tensor[],
  recorded: readonly OutputValue[],
): Promise<string | null> {
  try {
    return goldenDifference(recorded, await run(inputs));
  } catch (error) {
    const failure = LastgoodError.from(error);
    if (failure.code === "runtime.failed") return failure.message;
    throw error;
  }
}

/**
 * Replays golden samples on a loaded version.
 * @returns in words how many agreed: `3 samples agree`, `no samples`.
 * @throws `preflight.rejected` naming the first difference; whatever else `run` throws but
 * `runtime.failed`.
 */
export async function replayGolden(
  golden: RouteRevision["golden"],
  run: RunAlone,
): Promise<string> {
  for (const [index, wire] of golden.entries()) {
    const sample = sampleFromWire(wire);
    const found = await difference(run, sample.inputs, sample.outputs);
    if (found !== null)
      throw new LastgoodError(
        "preflight.rejected",
        `golden sample ${index + 1} of ${golden.length} does not give its recorded answer: ${found}`,
        {
          hint: "the engine, the machine or the remote is not the one that registered the version",
        },
      );
  }
  if (golden.length === 0) return "no samples";
  return golden.length === 1 ? "1 sample agrees" : `${golden.length} samples agree`;
}
