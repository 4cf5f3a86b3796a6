import { setTimeout as pause } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import type { Runtime } from "../runtime/index.ts";
import { monotonic } from "./clock.ts";
import { CrashLog } from "./crash-log.ts";
import { Crowd } from "./crowd.ts";
import type { Log } from "./log.ts";
import { SupervisedRevision, type SupervisionOptions } from "./supervised-revision.ts";
import { revisionKey } from "./thread-messages.ts";
import type { SendCommand, WorkerNews, WorkerPool } from "./worker-pool.ts";

/** The runtimes of a gateway, by the kind a version names. */
export type Runtimes = Readonly<Record<RouteRevision["runtime"]["kind"], Runtime>>;

/** What keeping revisions loaded takes. */
export interface LoadedRevisionsOptions {
  readonly runtimes: Runtimes;
  readonly workers: Pick<WorkerPool, "all" | "tell" | "tellOne">;
  readonly onState: (state: RevisionState) => void;
  readonly onTrouble: SupervisionOptions["onTrouble"];
  readonly log: Log;
  /** A revision that is unloaded does not wait longer for what workers still read of it, ms. @default 5000 */
  readonly hangUpMs?: number;
}

const HANG_UP_MS = 5_000;

/** Every revision this gateway has loaded or is loading. */
export class LoadedRevisions {
  readonly #options: LoadedRevisionsOptions;
  readonly #revisions = new Map<string, SupervisedRevision>();
  readonly #leaving = new Map<string, Promise<void>>();
  /** By key; what ended a process is remembered beyond the revision's unloading. */
  readonly #crashes = new Map<string, CrashLog>();
  /** By endpoint: where its requests are counted. */
  readonly #inFlight = new Map<string, SharedArrayBuffer>();

  constructor(options: LoadedRevisionsOptions) {
    this.#options = options;
  }

  /**
   * Loads a revision unless it is there; resolves when requests can go to it.
   * @throws what the load failed with.
   */
  async ensure(endpoint: RevisionState["endpoint"], revision: RouteRevision): Promise<void> {
    await this.begin(endpoint, revision);
    const key = revisionKey(endpoint, revision.revision, revision.digest);
    await this.#revisions.get(key)?.whenReady();
  }

  /** Begins to load a revision unless it is there, after an unload of it that is under way. */
  async begin(endpoint: RevisionState["endpoint"], revision: RouteRevision): Promise<void> {
    const key = revisionKey(endpoint, revision.revision, revision.digest);
    await this.#leaving.get(key);
    if (this.#revisions.has(key)) return;
    this.#revisions.set(
      key,
      new SupervisedRevision({
        endpoint,
        revision,
        runtime: this.#options.runtimes[revision.runtime.kind],
        inFlight: this.#roomOf(endpoint),
        workers: this.#options.workers,
        crashes: this.crashes(key),
        onState: this.#options.onState,
        onTrouble: this.#options.onTrouble,
        log: this.#options.log,
      }),
    );
  }

  #roomOf(endpoint: string): SharedArrayBuffer {
    let room = this.#inFlight.get(endpoint);
    if (room === undefined) {
      room = Crowd.room();
      this.#inFlight.set(endpoint, room);
    }
    return room;
  }

  /** A revision that is loaded, being loaded, or failed to load. */
  get(key: string): SupervisedRevision | undefined {
    return this.#revisions.get(key);
  }

  /** Deaths of a revision's process. */
  crashes(key: string): CrashLog {
    let crashes = this.#crashes.get(key);
    if (crashes === undefined) {
      for (const [other, log] of this.#crashes)
        if (!this.#revisions.has(other) && log.isForgotten(monotonic()))
          this.#crashes.delete(other);
      crashes = new CrashLog();
      this.#crashes.set(key, crashes);
    }
    return crashes;
  }

  /** Requests that ended processes of the endpoint's revisions other than this one. */
  killersBeside(endpoint: string, key: string): ReadonlySet<string> {
    const others = [...this.#crashes].filter(
      ([other]) => other !== key && other.startsWith(`${endpoint}/`),
    );
    return new Set(others.flatMap(([, log]) => [...log.killers(monotonic())]));
  }

  /** Keys of an endpoint's revisions. */
  keysOf(endpoint: string): readonly string[] {
    return [...this.#revisions.keys()].filter((key) => key.startsWith(`${endpoint}/`));
  }

  states(): RevisionState[] {
    return [...this.#revisions.values()].map((revision) => revision.state);
  }

  /**
   * Unloads a revision; workers hang up first, once nothing is pending. An answer that streams on and on is
   * cut off: whoever wants the revision back would wait for its end.
   */
  async drop(key: string): Promise<void> {
    const revision = this.#revisions.get(key);
    if (revision === undefined) return;
    this.#revisions.delete(key);
    const gone = (async () => {
      const { workers, hangUpMs = HANG_UP_MS } = this.#options;
      const hungUp = workers.all({ kind: "disconnect", key });
      await Promise.race([hungUp, pause(hangUpMs, undefined, { ref: false })]);
      await revision.end();
    })();
    const left = gone
      .catch((error: unknown) => {
        const why = LastgoodError.from(error).message;
        this.#options.log("error", `${revision.subject} did not end cleanly`, { why });
      })
      .finally(() => this.#leaving.delete(key));
    this.#leaving.set(key, left);
    await left;
  }

  /** Unloads everything. */
  async dropAll(): Promise<void> {
    await Promise.all([...this.#revisions.keys()].map((key) => this.drop(key)));
    await Promise.all(this.#leaving.values());
  }

  /** Replays the golden samples of all, one revision after the other. */
  async replayAll(): Promise<void> {
    for (const revision of this.#revisions.values()) await revision.replay();
  }

  /** Connects a new worker to all that is there. */
  async introduce(worker: number, send: SendCommand): Promise<void> {
    await Promise.all(
      [...this.#revisions.values()].map(async (revision) => {
        const serving = revision.serving;
        if (serving === null) return;
        const connected = send({
          kind: "connect",
          key: revision.key,
          address: serving.address,
          inFlight: revision.inFlight,
        });
        if (serving.isOpen)
          this.#options.workers.tellOne(worker, { kind: "open", key: revision.key });
        // Its requests would wait for ever; all workers are connected anew.
        await connected.catch(() => revision.workerLost());
      }),
    );
  }

  /** Takes in what a worker tells about its connections. */
  hear(worker: number, news: Extract<WorkerNews, { key: string }>): void {
    const revision = this.#revisions.get(news.key);
    if (news.kind === "lost") revision?.workerLost();
    else if (news.kind === "suspect") revision?.suspect(worker, news.suspect);
    else revision?.suspectDone(worker, news.suspect, news.killer);
  }

  workerGone(worker: number): void {
    for (const room of this.#inFlight.values()) Crowd.forget(room, worker);
    for (const revision of this.#revisions.values()) revision.workerGone(worker);
  }
}
