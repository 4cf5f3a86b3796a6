import { LastgoodError } from "../../../src/core/errors/index.ts";
import type { RevisionState } from "../../../src/link/message/index.ts";
import type { Route, RouteRevision } from "../../../src/link/route/index.ts";
import type { SwitchParts } from "../../../src/serving/gateway/endpoint-switch.ts";
import { revisionKey } from "../../../src/serving/gateway/thread-messages.ts";
import type { Truth } from "./models.ts";
import type { Life, VirtualTime } from "./virtual-time.ts";

/** What the model processes of a gateway have around them. */
export interface RevisionSurroundings {
  readonly time: VirtualTime;
  readonly life: Life;
  readonly random: () => number;
  readonly truths: ReadonlyMap<string, Truth>;
  /** A broken build: nobody waits until a revision is loaded. */
  readonly isHasty: boolean;
  /** A revision's state is another now. */
  readonly onState: (state: RevisionState) => void;
  /** A revision is unloaded from now on. */
  readonly onDrop: (key: string) => void;
}

interface Loaded {
  readonly revision: RouteRevision;
  readonly endpoint: Route["endpoint"];
  state: RevisionState;
  readyAt: number | null;
  ready: PromiseWithResolvers<void>;
}

/** The revisions that a gateway has loaded, each in a process that takes its time. */
export class SimulatedRevisions {
  readonly #around: RevisionSurroundings;
  readonly #loaded = new Map<string, Loaded>();

  constructor(around: RevisionSurroundings) {
    this.#around = around;
  }

  get states(): RevisionState[] {
    return [...this.#loaded.values()].map(({ state }) => state);
  }

  /** The revision's state, by its key. */
  stateOf(key: string): RevisionState["state"] | null {
    return this.#loaded.get(key)?.state.state ?? null;
  }

  /** Since when the revision is ready, virtual ms; null where it is not. */
  readySince(key: string): number | null {
    const loaded = this.#loaded.get(key);
    return loaded?.state.state === "ready" ? loaded.readyAt : null;
  }

  truthOf(revision: RouteRevision): Truth {
    const truth = this.#around.truths.get(revision.digest);
    if (truth === undefined) throw new Error(`nobody made ${revision.digest}`);
    return truth;
  }

  /** What a switch needs of them. */
  get parts(): SwitchParts["loaded"] {
    return {
      begin: (endpoint, revision) => this.#begin(endpoint, revision),
      ensure: (endpoint, revision) => this.#ensure(endpoint, revision),
      keysOf: (endpoint) =>
        [...this.#loaded.keys()].filter((key) => key.startsWith(`${endpoint}/`)),
      drop: (key) => this.#drop(key),
      get: (key) => {
        const loaded = this.#loaded.get(key);
        return loaded && { isProven: loaded.state.state === "ready", state: loaded.state };
      },
    };
  }

  /** Golden samples are replayed: what is wrong by now is found out. */
  replay(): void {
    for (const loaded of this.#loaded.values()) {
      const { state } = loaded.state;
      if (state === "ready" && this.truthOf(loaded.revision).wrong)
        this.#become(loaded, "failed", "a golden sample disagrees", "preflight.rejected");
      else if (state === "failed" && this.#holds(loaded.revision)) this.#become(loaded, "ready");
    }
  }

  #holds(revision: RouteRevision): boolean {
    const { corrupt, wrong } = this.truthOf(revision);
    return !corrupt && !wrong;
  }

  async #ensure(endpoint: Route["endpoint"], revision: RouteRevision): Promise<void> {
    const key = keyOf(endpoint, revision);
    // One that failed is tried again.
    if (this.stateOf(key) === "failed") this.#loaded.delete(key);
    await this.#begin(endpoint, revision);
    if (this.#around.isHasty) return;
    await this.#loaded.get(key)?.ready.promise;
  }

  async #begin(endpoint: Route["endpoint"], revision: RouteRevision): Promise<void> {
    const key = keyOf(endpoint, revision);
    if (this.#loaded.has(key)) return;
    const state: RevisionState = {
      endpoint,
      revision: revision.revision,
      digest: revision.digest,
      state: "loading",
      proof: "",
      provenAt: null,
      samples: 1,
      why: null,
      code: null,
      engine: null,
      pid: 1,
    };
    const loaded: Loaded = {
      endpoint,
      revision,
      state,
      readyAt: null,
      ready: Promise.withResolvers<void>(),
    };
    loaded.ready.promise.catch(() => undefined);
    this.#loaded.set(key, loaded);
    const { life, random } = this.#around;
    life.timers.after(20 + random() * 200, () => this.#load(key, loaded));
  }

  #load(key: string, loaded: Loaded): void {
    if (this.#loaded.get(key) !== loaded) {
      loaded.ready.reject(new LastgoodError("runtime.unavailable", "it was unloaded"));
      return;
    }
    const truth = this.truthOf(loaded.revision);
    if (truth.corrupt) this.#become(loaded, "failed", "the digest differs", "artifact.corrupt");
    else if (truth.wrong)
      this.#become(loaded, "failed", "a golden sample disagrees", "preflight.rejected");
    else this.#become(loaded, "ready");
  }

  #become(
    loaded: Loaded,
    state: "ready" | "failed",
    why: string | null = null,
    code: "artifact.corrupt" | "preflight.rejected" | null = null,
  ): void {
    const { time, onState } = this.#around;
    const provenAt = state === "ready" ? time.clock.now() : null;
    // What failed and was brought back is waited for anew.
    if (loaded.state.state === "failed") loaded.ready = Promise.withResolvers<void>();
    loaded.ready.promise.catch(() => undefined);
    loaded.state = { ...loaded.state, state, why, code, provenAt };
    loaded.readyAt = time.now;
    onState(loaded.state);
    if (state === "ready") loaded.ready.resolve();
    else loaded.ready.reject(new LastgoodError(code ?? "runtime.unavailable", why ?? "it failed"));
  }

  async #drop(key: string): Promise<void> {
    const loaded = this.#loaded.get(key);
    if (loaded === undefined) return;
    const { life, onDrop, onState } = this.#around;
    this.#loaded.delete(key);
    onDrop(key);
    await life.timers.pause(5);
    if (!this.#loaded.has(key)) onState({ ...loaded.state, state: "gone", provenAt: null });
  }
}

/** How a gateway knows a loaded revision. */
export function keyOf(endpoint: string, { revision, digest }: RouteRevision): string {
  return revisionKey(endpoint, revision, digest);
}
