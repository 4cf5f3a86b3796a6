import type { SplitCounts } from "../../src/core/evidence/index.ts";

/** What truly happens in a simulated rollout. */
export interface World {
  /** The candidate's share of the traffic. */
  readonly split: number;
  readonly candidateRate: number;
  readonly stableRate: number;
}

/** Requests from one look at the counts to the next. */
export const LOOK_EVERY = { flush: 100, interval: 1_000 } as const;

/** One request: who answered it, and how. */
export interface Request {
  readonly candidate: boolean;
  readonly bad: boolean;
}

type SeesRequest = (request: Request) => boolean;
type SeesCounts = (counts: SplitCounts) => boolean;

interface RuleThat<Looks extends string, Sees> {
  readonly name: string;
  readonly looksAt: Looks;
  /** Begins a rollout; what it gives is called at each look, and true is the decision. */
  readonly start: (world: World) => Sees;
}

/**
 * A way to decide on a rollback: it looks at every request, at the bad ones as they come, or at the
 * counts of each 100 or each 1,000.
 */
export type Rule =
  | RuleThat<"request", SeesRequest>
  | RuleThat<"bad", SeesRequest>
  | RuleThat<"flush", SeesCounts>
  | RuleThat<"interval", SeesCounts>;
