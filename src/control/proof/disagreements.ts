import type { Clock } from "../../core/time/index.ts";
import type { Digest } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { Store } from "../../storage/store/index.ts";

/** What this needs of a store. */
export type DisagreementSources = {
  readonly store: Pick<Store, "disagreements">;
  readonly clock: Clock;
};

/**
 * Which versions' samples disagreed when they were last replayed, kept in the store: it outlives the
 * gateway that found it, and only samples that agree end it.
 */
export class Disagreements {
  readonly #sources: DisagreementSources;
  /** Found and not stored yet, as the store takes nothing. */
  readonly #unstored = new Map<Digest, string>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(sources: DisagreementSources) {
    this.#sources = sources;
  }

  /** Why the samples of these bytes disagreed, or null. @throws `store.unavailable`. */
  async why(digest: Digest): Promise<string | null> {
    const unstored = this.#unstored.get(digest);
    if (unstored !== undefined) return unstored;
    return (await this.#sources.store.disagreements.get(digest))?.why ?? null;
  }

  /**
   * A gateway told how a revision fares there.
   * @throws `store.unavailable`; it is stored when something is told the next time.
   */
  heard(state: RevisionState): Promise<void> {
    const done = this.#turn.then(() => this.#take(state));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #take(state: RevisionState): Promise<void> {
    const { digest } = state;
    if (state.state === "failed" && state.code === "preflight.rejected")
      this.#unstored.set(digest, state.why ?? "a golden sample disagrees");
    // A person may have forced it to be loaded without its samples: that says nothing of them.
    const agrees = state.state === "ready" && state.samples > 0;
    if (agrees) this.#unstored.delete(digest);
    await this.#store();
    const { disagreements } = this.#sources.store;
    if (agrees && (await disagreements.get(digest)) !== null) await disagreements.forget(digest);
  }

  async #store(): Promise<void> {
    const { store, clock } = this.#sources;
    for (const [digest, why] of this.#unstored) {
      await store.disagreements.put({ digest, why, at: clock.now() });
      this.#unstored.delete(digest);
    }
  }
}
