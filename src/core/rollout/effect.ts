import type { LastgoodError } from "../errors/index.ts";
import type { Measured, RollbackDone, Rollout } from "./state.ts";

/** What became of an operation that somebody waits for. */
export type Outcome =
  | {
      readonly ok: true;
      readonly did: "deployed" | "unchanged";
      readonly rollout: Rollout | null;
      readonly measured: Measured | null;
    }
  | { readonly ok: true; readonly did: "steered"; readonly done: string }
  | {
      readonly ok: true;
      readonly did: "returned";
      readonly record: RollbackDone;
      readonly already: boolean;
    }
  | { readonly ok: false; readonly error: LastgoodError };

/**
 * What a transition wants done. Each is data, safe to do twice; after a crash `pendingEffects`
 * names those that a state still waits for.
 */
export type Effect =
  /** Publish the route the state asks for; nobody waits for more than that. */
  | { readonly do: "publish" }
  /** Publish it, wait until the candidate is loaded and proven, answer prepared or preparationFailed. */
  | { readonly do: "prepare"; readonly rolloutId: string; readonly revision: number }
  /** Publish it, wait for every worker, probe, drain; answer switched or switchFailed. */
  | { readonly do: "switch"; readonly switchId: string; readonly verify: number }
  /** Write the verdict on a version into the registry. */
  | {
      readonly do: "judge";
      readonly sequence: number;
      readonly status: "stable" | "failed" | "pending";
      readonly reason: string | null;
    }
  /** Tell who waits for the operation. */
  | { readonly do: "settle"; readonly operation: string; readonly outcome: Outcome }
  /** Raise an alarm at once. */
  | { readonly do: "alarm"; readonly code: string; readonly message: string };

/** An entry for the endpoint's history; stored in the same transaction as the state. */
export interface HistoryRecord {
  readonly kind: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  /** Set where the same thing could arrive twice: it is recorded once. */
  readonly key?: string;
}

/** What an event led to. */
export interface Transition<S> {
  readonly state: S;
  readonly effects: readonly Effect[];
  readonly history: readonly HistoryRecord[];
}
