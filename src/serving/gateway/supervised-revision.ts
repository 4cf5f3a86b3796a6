import { setTimeout as pause } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import type { LoadedModel, LoadProof, ModelAddress, Runtime } from "../runtime/index.ts";
import { monotonic } from "./clock.ts";
import type { CrashLog } from "./crash-log.ts";
import { Crowd, type CrowdRoom } from "./crowd.ts";
import { HARD_LIMITS, type Breach } from "./hard-limits.ts";
import type { Log } from "./log.ts";
import { takesCopies } from "./served-revision.ts";
import { SuspectQueue } from "./suspect-queue.ts";
import { revisionKey } from "./thread-messages.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** Waits between attempts to bring a revision back, ms; the last one repeats. */
const BACKOFF_MS = [0, 100, 400, 1_600, 5_000] as const;
/** A revision that is refused for what it is, is looked at again this rarely, ms. */
const REFUSED_PAUSE_MS = 5_000;
/** Loads that fail in a row before waiting requests are sent away. */
const PATIENCE = 3;
/** A process that lived this long starts with a clean slate, ms. */
const STABLE_MS = 60_000;
/** Between a worker's loss of its connection and ours at most, ms. */
const DEATH_NOTICE_MS = 250;

/** What stays so until somebody has changed something, beside files that are not right. */
const REFUSALS: ReadonlySet<string> = new Set(["preflight.rejected", "code.not-allowed"]);

/** Suspects of a death are known by then, ms. */
const SUSPECTS_MS = 50;

/** What the breaker has to know of a revision. */
export type Trouble = "crashed" | Extract<Breach, { readonly limit: "neverReady" }>;

/** What supervising one revision takes. */
export interface SupervisionOptions {
  readonly endpoint: RevisionState["endpoint"];
  readonly revision: RouteRevision;
  readonly runtime: Runtime;
  /** Where all workers count its endpoint's requests. */
  readonly inFlight: SharedArrayBuffer;
  readonly workers: Pick<WorkerPool, "all" | "tell" | "tellOne">;
  readonly crashes: CrashLog;
  readonly onState: (state: RevisionState) => void;
  /** It died and what was in it has been dealt with, or it cannot be loaded. */
  readonly onTrouble: (
    endpoint: RevisionState["endpoint"],
    revision: RouteRevision,
    trouble: Trouble,
  ) => void;
  readonly log: Log;
}

/**
 * Keeps one revision loaded: brings it up, connects every worker, brings it back when it dies, hands
 * out the requests that were in it one at a time, and only then lets others through.
 */
export class SupervisedRevision {
  readonly key: string;
  readonly subject: string;
  readonly revision: RouteRevision;
  /** Where all workers count its requests. */
  readonly inFlight: CrowdRoom;
  readonly #options: SupervisionOptions;
  readonly #suspects = new SuspectQueue();
  readonly #end = Promise.withResolvers<void>();
  readonly #life: Promise<void>;
  #state: RevisionState;
  #model: LoadedModel | null = null;
  #isEnding = false;
  #isOpen = false;
  #isLost = false;
  /** A suspect is being run alone: a death is then the suspect's. */
  #isReplaying = false;
  /** A death that the breaker does not know of. */
  #isUntold = false;
  #settled = unhandled();
  #wake = new AbortController();
  #lost = Promise.withResolvers<void>();
  #failures = 0;
  #failedLoads = 0;

  constructor(options: SupervisionOptions) {
    const { endpoint, revision } = options;
    this.#options = options;
    this.revision = revision;
    this.inFlight = { revision: Crowd.room(), endpoint: options.inFlight };
    this.key = revisionKey(endpoint, revision.revision, revision.digest);
    this.subject = `${endpoint}/${revision.revision}`;
    this.#state = {
      endpoint,
      revision: revision.revision,
      digest: revision.digest,
      state: "loading",
      proof: "",
      provenAt: null,
      samples: revision.golden.length,
      why: null,
      code: null,
      engine: null,
      pid: null,
    };
    this.#life = this.#live();
  }

  get state(): RevisionState {
    return this.#state;
  }

  /** Loaded, reachable, and its golden samples agreed when they were last replayed. */
  get isProven(): boolean {
    return this.#isOpen && this.#state.state === "ready";
  }

  /** Where workers find it, or null while it is not there; `isOpen`: requests may go to it. */
  get serving(): { readonly address: ModelAddress; readonly isOpen: boolean } | null {
    return this.#model === null ? null : { address: this.#model.address, isOpen: this.#isOpen };
  }

  /**
   * Resolves when requests can go to it; a failed one is tried again at once.
   * @throws what the load failed with.
   */
  whenReady(): Promise<void> {
    if (this.#isOpen) return Promise.resolve();
    if (this.#state.state === "failed") {
      this.#settled = unhandled();
      this.#wake.abort();
    }
    return this.#settled.promise;
  }

  /** A worker lost its connection. */
  workerLost(): void {
    this.#isLost = true;
    this.#lost.resolve();
  }

  suspect(worker: number, suspect: number): void {
    this.#suspects.add({ worker, suspect });
    // One that comes after the others were handed out must not wait for the next death.
    if (this.#isOpen) this.workerLost();
  }

  suspectDone(worker: number, suspect: number, killer: string | null): void {
    if (killer !== null) {
      this.#options.crashes.killed(monotonic(), killer);
      this.#tellCrash();
    }
    this.#suspects.finish(worker, suspect);
  }

  workerGone(worker: number): void {
    Crowd.forget(this.inFlight.revision, worker);
    this.#suspects.workerGone(worker);
  }

  /**
   * Replays the golden samples of a loaded revision and reports the outcome.
   * @returns why it would not answer rightly now, or null.
   */
  async replay(): Promise<string | null> {
    const model = this.#model;
    if (model === null || !this.#isOpen) return "not loaded";
    try {
      const proof = await model.replay();
      if (this.#model === model)
        this.#report({ ...proven(proof), state: "ready", why: null, code: null });
      return null;
    } catch (error) {
      const failed = LastgoodError.from(error);
      // Anything else is a death that is being dealt with.
      if (failed.code === "preflight.rejected" && this.#model === model)
        this.#report({ state: "failed", why: failed.message, code: failed.code });
      return failed.message;
    }
  }

  /** Unloads it for good. Nothing may be in flight on it. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#end.resolve();
    this.#wake.abort();
    this.#isOpen = false;
    this.#settled.reject(new LastgoodError("runtime.unavailable", `${this.subject} was unloaded`));
    await this.#life;
    const model = this.#model;
    this.#model = null;
    await model?.unload();
    this.#report({ state: "gone", pid: null, process: undefined });
  }

  async #live(): Promise<void> {
    while (!this.#isEnding) {
      this.#model ??= await this.#load();
      const model = this.#model;
      if (model === null || this.#isEnding) continue;
      this.#isLost = false;
      this.#lost = Promise.withResolvers();
      const openedAt = Date.now();
      if (await this.#open(model))
        await Promise.race([model.died, this.#lost.promise, this.#end.promise]);
      this.#isOpen = false;
      if (this.#isEnding) return;
      if (Date.now() - openedAt > STABLE_MS) this.#failures = 0;
      await this.#seeWhetherItDied(model);
    }
  }

  async #load(): Promise<LoadedModel | null> {
    const { runtime, log } = this.#options;
    this.#wake = new AbortController();
    if (this.#state.state !== "loading")
      this.#report({ state: "loading", pid: null, process: undefined });
    try {
      return await runtime.load(this.subject, this.revision);
    } catch (error) {
      const failed = LastgoodError.from(error);
      log("error", `${this.subject} could not be loaded`, { why: failed.message });
      this.#fail(failed);
      const wait = isRefused(failed) ? REFUSED_PAUSE_MS : Math.max(100, this.#nextBackoffMs());
      await this.#pause(wait);
      return null;
    }
  }

  #fail(error: LastgoodError): void {
    if (isRefused(error) || this.#failures >= PATIENCE)
      this.#options.workers.tell({ kind: "unavailable", key: this.key, why: error.message });
    this.#report({
      state: "failed",
      why: error.message,
      code: error.code,
      pid: null,
      process: undefined,
    });
    this.#settled.reject(error);
    this.#failedLoads += 1;
    if (this.#isUntold) this.#tellCrash();
    if (isRefused(error) || this.#failedLoads >= HARD_LIMITS.failedLoads)
      this.#tell({
        limit: "neverReady",
        count: isRefused(error) ? 1 : this.#failedLoads,
        why: error.message,
      });
  }

  /** Connects the workers, runs the suspects, lets the others through. False when it died on the way. */
  async #open(model: LoadedModel): Promise<boolean> {
    const { workers, log } = this.#options;
    try {
      const { key, inFlight } = this;
      await workers.all({ kind: "connect", key, address: model.address, inFlight });
    } catch (error) {
      log("warn", `a worker could not reach ${this.subject}`, { why: String(error) });
      return false;
    }
    if (this.#isEnding || !(await this.#handOutSuspects(model))) return false;
    this.#isOpen = true;
    this.#failedLoads = 0;
    if (this.#isUntold) this.#tellCrash();
    workers.tell({ kind: "open", key: this.key });
    this.#report({
      ...proven(model.proof),
      takesCopies: takesCopies(model.address),
      state: "ready",
      why: null,
      code: null,
    });
    this.#settled.resolve();
    return true;
  }

  async #handOutSuspects(model: LoadedModel): Promise<boolean> {
    let hasDied = false;
    const died = model.died.then(() => {
      hasDied = true;
    });
    for (let next = this.#suspects.next(); next !== null; next = this.#suspects.next()) {
      const { worker, suspect } = next.suspect;
      this.#isReplaying = true;
      this.#options.workers.tellOne(worker, { kind: "grant", suspect });
      await Promise.race([next.done, died]);
      // A worker says that it lost the connection before it says that its suspect is done.
      if (hasDied || this.#isLost) return false;
      this.#isReplaying = false;
    }
    return true;
  }

  async #seeWhetherItDied(model: LoadedModel): Promise<void> {
    const why = await Promise.race([model.died, pause(DEATH_NOTICE_MS, null)]);
    const isReplaying = this.#isReplaying;
    this.#isReplaying = false;
    if (why === null) return;
    if (!isReplaying) this.#noteDeath(why);
    this.#model = null;
    this.#settled = unhandled();
    this.#options.log("warn", `${this.subject} died`, { why });
    // A worker that passes requests on unread, or that has none now, has not seen it.
    this.#options.workers.tell({ kind: "away", key: this.key });
    this.#report({ state: "loading", why, pid: null, process: undefined });
    // A suspect that ended it is not run again: those behind it wait for nothing else.
    if (!isReplaying) await this.#pause(this.#nextBackoffMs());
  }

  /** Whether it counts depends on what killed it, which is known once its suspects have run again. */
  #noteDeath(why: string): void {
    this.#options.crashes.died(monotonic(), why);
    this.#isUntold = true;
    setTimeout(() => {
      if (this.#isUntold && this.#suspects.size === 0) this.#tellCrash();
    }, SUSPECTS_MS).unref();
  }

  #tellCrash(): void {
    this.#isUntold = false;
    this.#tell("crashed");
  }

  #tell(trouble: Trouble): void {
    if (this.#isEnding) return;
    this.#options.onTrouble(this.#options.endpoint, this.revision, trouble);
  }

  #nextBackoffMs(): number {
    const wait = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] ?? 0;
    this.#failures += 1;
    return wait;
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await pause(ms, undefined, { signal: this.#wake.signal }).catch(() => undefined);
  }

  #report(change: Partial<RevisionState>): void {
    this.#state = { ...this.#state, ...change };
    this.#options.onState(this.#state);
  }
}

/** A promise that nobody has to wait for. */
function unhandled(): PromiseWithResolvers<void> {
  const settled = Promise.withResolvers<void>();
  settled.promise.catch(() => undefined);
  return settled;
}

/** Whether trying again cannot help before somebody has changed something. */
function isRefused(error: LastgoodError): boolean {
  return error.code.startsWith("artifact.") || REFUSALS.has(error.code);
}

function proven(proof: LoadProof): Partial<RevisionState> {
  return {
    proof: proof.proof,
    provenAt: proof.provenAt,
    engine: proof.engine,
    pid: proof.pid,
    process: proof.process,
  };
}
