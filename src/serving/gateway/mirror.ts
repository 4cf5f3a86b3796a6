import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import type { PairTicket, RequestTicket } from "../evidence/index.ts";
import { outputViolation } from "../protocol/index.ts";
import type { MirrorPlan } from "./routed-endpoint.ts";
import type { ServedRevision } from "./served-revision.ts";

/** Requests that a revision may have before nothing more is mirrored to it, per worker. */
const MOST_PENDING = 4;

/** A request that one revision has answered or failed. */
interface Original {
  readonly plan: MirrorPlan;
  /** Those it ran with. */
  readonly inputs: readonly Tensor[];
  /** Told once what the other revision made of it; null: nothing, or it was not asked. */
  readonly onEnd: (outputs: readonly OutputValue[] | null) => void;
}

/**
 * Sends what one revision has answered to the other one as well. Nobody waits for it: it begins
 * when the caller has the answer, runs once, and is left out where the other one is busy.
 */
export class Mirror {
  readonly #served: (key: string) => ServedRevision;

  constructor(served: (key: string) => ServedRevision) {
    this.#served = served;
  }

  /** `ticket` has ended. */
  send(original: Original, ticket: RequestTicket): void {
    const { plan, onEnd } = original;
    const served = this.#served(plan.to.key);
    const pair = served.mayRepeat ? ticket.pair(plan.compared) : null;
    if (pair === null || served.pending >= MOST_PENDING) {
      pair?.skipped();
      onEnd(null);
    } else void this.#run(served, original, pair);
  }

  async #run(
    served: ServedRevision,
    { plan: { to }, inputs, onEnd }: Original,
    pair: PairTicket,
  ): Promise<void> {
    const cell = to.count("mirror");
    cell.requests += 1;
    try {
      const { timeoutMs } = to.revision.limits;
      const result = await served.runOnce({ inputs, timeoutMs, ticket: pair });
      const { outputs } = result;
      const violation = outputViolation(outputs, to.revision.contract, to);
      if (violation !== null) throw new LastgoodError("runtime.failed", violation);
      pair.answered(result);
      onEnd(outputs);
    } catch (error) {
      cell.errors += 1;
      pair.failed(LastgoodError.from(error));
      onEnd(null);
    }
  }
}
