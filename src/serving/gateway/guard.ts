import type { LastgoodError } from "../../core/errors/index.ts";
import { monotonic } from "./clock.ts";
import type { WorkerBreach } from "./hard-limits.ts";
import type { RoutedRevision } from "./routed-endpoint.ts";
import type { ServedRevision } from "./served-revision.ts";
import { strikeOf } from "./strikes.ts";
import type { FromWorker } from "./thread-messages.ts";

/** A request's revision in one worker. */
export interface Guarded {
  readonly endpoint: string;
  readonly routed: RoutedRevision;
  readonly served: ServedRevision;
  /** CLOCK_MONOTONIC, ms. */
  readonly admittedAt: number;
}

/** The breaker's eyes in one worker. Nothing leaves the worker before a limit is reached. */
export class Guard {
  readonly #post: (message: FromWorker) => void;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** The revision answered, and kept the contract. */
  good({ routed, served }: Guarded): void {
    if (routed.isGuarded) served.strikes.good(monotonic());
  }

  /** The revision failed a request that somebody waited for. */
  failed(guarded: Guarded, error: LastgoodError): void {
    const { routed, served, admittedAt } = guarded;
    if (!routed.isGuarded) return;
    const { invalid } = error.details;
    const why = typeof invalid === "string" ? invalid : error.message;
    const kind = strikeOf(routed.revision.runtime.kind, error);
    const now = monotonic();
    const { strikes } = served;
    this.#tell(
      guarded,
      kind === "lost" ? strikes.lost(why, admittedAt, now) : strikes.failed(kind, why, now),
    );
  }

  /** Stable had no room for what the revision failed, and what it failed fills that room. */
  shed(guarded: Guarded, error: LastgoodError): void {
    const { routed, served } = guarded;
    if (routed.isGuarded) this.#tell(guarded, served.strikes.shed(error.message, monotonic()));
  }

  #tell({ endpoint, routed }: Guarded, breach: WorkerBreach | null): void {
    if (breach === null) return;
    this.#post({ kind: "breach", endpoint, revision: routed.revision.revision, breach });
  }
}
