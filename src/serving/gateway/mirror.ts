import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { PairTicket, RequestTicket } from "../evidence/index.ts";
import { outputViolation } from "../protocol/index.ts";
import type { MirrorPlan } from "./routed-endpoint.ts";
import type { ServedRevision } from "./served-revision.ts";

/** Requests that a revision may have before nothing more is mirrored to it, per worker. */
const MOST_PENDING = 4;

/**
 * Sends what one revision has answered to the other one as well. Nobody waits for it: it begins
 * when the caller has the answer, runs once, and is left out where the other one is busy.
 */
export class Mirror {
  readonly #served: (key: string) => ServedRevision;

  constructor(served: (key: string) => ServedRevision) {
    this.#served = served;
  }

  /** `ticket` has ended; `inputs` are those the original ran with. */
  send(plan: MirrorPlan, inputs: readonly Tensor[], ticket: RequestTicket): void {
    const served = this.#served(plan.to.key);
    if (!served.mayRepeat || served.pending >= MOST_PENDING) return;
    const pair = ticket.pair(plan.compared);
    if (pair !== null) void this.#run(served, { plan, inputs, pair });
  }

  async #run(
    served: ServedRevision,
    mirrored: {
      readonly plan: MirrorPlan;
      readonly inputs: readonly Tensor[];
      readonly pair: PairTicket;
    },
  ): Promise<void> {
    const { plan, inputs, pair } = mirrored;
    const { to } = plan;
    const cell = to.count("mirror");
    cell.requests += 1;
    try {
      const { timeoutMs } = to.revision.limits;
      const { outputs } = await served.runOnce({ inputs, timeoutMs, ticket: pair });
      const violation = outputViolation(outputs, to.revision.contract, to);
      if (violation !== null) throw new LastgoodError("runtime.failed", violation);
      pair.answered(outputs);
    } catch (error) {
      cell.errors += 1;
      pair.failed(LastgoodError.from(error));
    }
  }
}
