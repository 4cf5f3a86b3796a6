import type { RolloutView } from "../../core/api/index.ts";
import { formatDuration } from "../../core/time/index.ts";

/**
 * Where nobody said for how long: a rollout is waited for until it should have been over by its plan for
 * this long, ms. That is for loading, switching, going back, and a server that is started anew.
 */
const PAST_PLAN_MS = 10 * 60_000;

/** How long a command waits, from its start on: what it began goes on after that. */
export class Deadline {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly #at: number;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    this.#at = performance.now() + timeoutMs;
    this.signal = AbortSignal.timeout(timeoutMs);
  }

  /** After what it is over, in words; null: not yet. */
  overAfter(): string | null {
    return this.leftMs === 0 ? `after ${formatDuration(this.timeoutMs)}` : null;
  }

  get leftMs(): number {
    return Math.max(0, this.#at - performance.now());
  }
}

/** Waits for what is planned, and on while it is held: what stays undecided, the server ends. */
export class PlannedWait {
  #until: number | null = null;

  /** After what a rollout that looks so `now` (ms, monotonic) is waited for no longer, in words; null: it is. */
  overAfter(
    { plannedLeftMs, held }: Pick<RolloutView, "plannedLeftMs" | "held">,
    now = performance.now(),
  ): string | null {
    // Its clock stands where it is paused, and at its end where it is held or its requests do not come.
    if (this.#until === null || plannedLeftMs > 0 || held !== null)
      this.#until = Math.max(this.#until ?? 0, now + plannedLeftMs + PAST_PLAN_MS);
    return now < this.#until ? null : `${formatDuration(PAST_PLAN_MS)} after its planned end`;
  }
}

/** What is said at once where a rollout cannot be over by the deadline; empty where it can. */
export function tooShortFor(rollout: RolloutView, deadline: Deadline): readonly string[] {
  const { plannedLeftMs } = rollout;
  if (plannedLeftMs < deadline.leftMs) return [];
  return [
    `its steps and bake take ${formatDuration(plannedLeftMs)}, longer than --timeout ${formatDuration(deadline.timeoutMs)}: unless it goes back or is promoted before, this ends with exit code 5, and the rollout goes on; leave --timeout out to wait as long as it is planned`,
  ];
}
