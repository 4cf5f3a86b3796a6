import { LastgoodError } from "../../core/errors/index.ts";
import type { Clock, Timers } from "../../core/time/index.ts";
import type { Probed, RouteAcknowledged, RouteDrained } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import {
  armsOf,
  effectiveRoute,
  refusal,
  sameCounting,
  taken,
  undescribedArms,
} from "./endpoint-state.ts";
import type { LoadedRevisions } from "./loaded-revisions.ts";
import type { Log } from "./log.ts";
import type { RouteFile, RouteRecord } from "./route-file.ts";
import type { SupervisedRevision } from "./supervised-revision.ts";
import { revisionKey, type Swapped, type Usage } from "./thread-messages.ts";
import { Turns } from "./turns.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** What the switches of a gateway have in common. */
export interface SwitchParts {
  readonly loaded: Pick<LoadedRevisions, "begin" | "ensure" | "keysOf" | "drop"> & {
    get(key: string): Pick<SupervisedRevision, "isProven" | "state"> | undefined;
  };
  readonly workers: Pick<WorkerPool, "all" | "listening">;
  readonly log: Log;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Probes a revision of an endpoint through the public port; `apart` from the split, or as callers get it. */
  readonly probe: (target: {
    readonly endpoint: string;
    readonly revision: RouteRevision;
    readonly apart: boolean;
    readonly workers: readonly number[];
  }) => Promise<Probed>;
  /** The workers are about to count under this watch; it and the split are constant in an interval. */
  readonly onInterval: (
    endpoint: Route["endpoint"],
    interval: number,
    watch: Route["watch"],
  ) => void;
}

/** A disk that takes longer than this is reported as `durable: false`, ms. */
const DURABLE_MS = 1_000;
const RETRY_MS = 1_000;
/** A revision that left the route is unloaded after this at the latest, ms. */
const LEAVE_MS = 30_000;

/** One endpoint: its route, how it is switched, and what is loaded for it. */
export class EndpointSwitch {
  readonly endpoint: Route["endpoint"];
  readonly #parts: SwitchParts;
  readonly #file: Pick<RouteFile, "read" | "write">;
  /** Switches exclude each other; loading for one route keeps neither a rollback nor a newer route waiting. */
  readonly #switching = new Turns();
  readonly #preparing = new Set<Route>();
  #record: RouteRecord | null = null;
  #leaving: readonly Route[] = [];
  #interval = 0;
  #unwritten = false;
  #holdMs: number | null = null;
  /** Id of the override that is served and not yet verified. */
  #trial: string | null = null;

  constructor(
    endpoint: Route["endpoint"],
    file: Pick<RouteFile, "read" | "write">,
    parts: SwitchParts,
  ) {
    this.endpoint = endpoint;
    this.#file = file;
    this.#parts = parts;
  }

  /** What is known of the endpoint, or null before its first route. */
  get record(): RouteRecord | null {
    return this.#record;
  }

  /** Whether the disk has what is served. */
  get isDurable(): boolean {
    return !this.#unwritten;
  }

  /** What was done here alone and stands. One that is still on trial may be undone: nobody is told of it. */
  get overrides(): readonly Override[] {
    return this.#record?.overrides.filter(({ id }) => id !== this.#trial) ?? [];
  }

  /** What is served and not verified yet; after a start, what the end of the gateway before interrupted. */
  get trial(): Override | null {
    return this.#record?.overrides.find(({ id }) => id === this.#trial) ?? null;
  }

  /** What workers serve now: for a worker that is new. */
  get served(): {
    readonly route: Route;
    readonly interval: number;
    readonly holdMs: number | null;
  } | null {
    if (this.#record === null) return null;
    return {
      route: effectiveRoute(this.#record),
      interval: this.#interval,
      holdMs: this.#holdMs,
    };
  }

  /** Takes up what the disk remembers; the arms are loaded first, requests for them wait meanwhile. */
  async resume(): Promise<void> {
    const record = await this.#file.read();
    if (record === null) return;
    this.#record = record;
    const last = record.overrides.at(-1);
    this.#trial = last?.measured.verified === false ? last.id : null;
    this.#interval = 1;
    this.#watched(effectiveRoute(record));
    const arms = armsOf(effectiveRoute(record));
    await Promise.all(arms.map((arm) => this.#parts.loaded.begin(this.endpoint, arm)));
  }

  /** Loads what else the route names. */
  loadOthers(): void {
    const record = this.#record;
    if (record === null) return;
    void this.#loadAndClear(record);
  }

  /**
   * Takes a route from the control plane: loads its arms, switches every worker, writes it to disk.
   * @throws what an arm's load failed with; the old route stays then.
   */
  async publish(route: Route): Promise<RouteAcknowledged> {
    const refused = this.#refuse(route);
    if (refused !== null) return refused;
    const missing = undescribedArms(route);
    if (missing.length > 0) {
      throw new LastgoodError(
        "input.invalid",
        `the route does not describe revision ${missing.join(", ")}`,
      );
    }
    this.#preparing.add(route);
    try {
      return await (route.hold === null
        ? this.#loadThenSwitch(route)
        : this.#holdThenSwitch(route));
    } finally {
      this.#preparing.delete(route);
      this.loadOthers();
    }
  }

  /** Runs a switch that no other can interrupt. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#switching.take(task);
  }

  /**
   * Switches every worker to what the record says and remembers it, in that order; the switch stands
   * even where the disk does not take it. Its override `trial` may be taken back. Only within `exclusively`.
   */
  async swap(
    record: RouteRecord,
    { trial = null }: { readonly trial?: string | null } = {},
  ): Promise<{ readonly workers: readonly Swapped[]; readonly durable: boolean }> {
    const before = this.served;
    this.#record = record;
    this.#trial = trial;
    this.#holdMs = null;
    const route = effectiveRoute(record);
    if (before === null || !sameCounting(before.route, route)) this.#interval += 1;
    this.#watched(route);
    // Until the last worker has swapped, what they leave is in use.
    this.#leaving = before === null ? [] : [before.route];
    try {
      const workers = await this.#swapWorkers();
      return { workers, durable: await this.#remember() };
    } finally {
      this.#leaving = [];
    }
  }

  /** Replaces the record on disk alone: the split stays, nothing is on trial. Only within `exclusively`. */
  async amend(record: RouteRecord): Promise<boolean> {
    this.#record = record;
    this.#trial = null;
    return this.#remember();
  }

  /** Waits until each of the revisions is loaded or has failed to, or time runs out. */
  async loaded(revisions: readonly RouteRevision[], timeoutMs: number): Promise<void> {
    const { loaded, timers } = this.#parts;
    const loading = revisions.map((revision) => loaded.ensure(this.endpoint, revision));
    await Promise.race([Promise.allSettled(loading), timers.pause(timeoutMs)]);
  }

  /** Waits until nothing is in flight on revisions outside the split, or time runs out. */
  async drained(since: number, timeoutMs: number): Promise<RouteDrained> {
    const { clock, timers } = this.#parts;
    const deadline = clock.monotonic() + timeoutMs;
    for (let wait = 1; ; wait = Math.min(wait * 2, 20)) {
      const usage = await this.#usage(since);
      const inFlight = usage.reduce((sum, each) => sum + each.oldInFlight, 0);
      if (inFlight === 0 || clock.monotonic() >= deadline) {
        const responses = usage.flatMap(({ lastOldResponseAt: at }) => (at === null ? [] : [at]));
        return {
          drained: inFlight === 0,
          inFlight,
          lastOldResponseAt: responses.length === 0 ? null : Math.max(...responses),
          failedRequests: usage.reduce((sum, each) => sum + each.failedRequests, 0),
        };
      }
      await timers.pause(wait);
    }
  }

  /**
   * Probes a revision that the route names, in each protocol in use: as callers get it, or `apart`
   * from what the split sends them to.
   * @throws `revision.not-found`.
   */
  probe(number: number, { apart = false }: { apart?: boolean } = {}): Promise<Probed> {
    const revision = this.#record?.route.revisions.find((each) => each.revision === number);
    if (revision === undefined)
      throw new LastgoodError(
        "revision.not-found",
        `${this.endpoint} has no revision ${number} loaded`,
      );
    const { probe, workers } = this.#parts;
    return probe({
      endpoint: this.endpoint,
      revision,
      apart,
      workers: workers.listening(),
    });
  }

  /** Why a rollback could not take the revision now, or null. */
  doubt(revision: RouteRevision): string | null {
    const loaded = this.#parts.loaded.get(this.#key(revision));
    if (loaded === undefined) return "not loaded in the gateway";
    if (loaded.isProven) return null;
    return loaded.state.why ?? "still being loaded";
  }

  #refuse(route: Route): RouteAcknowledged | null {
    const why = refusal(this.#record, route);
    if (why === null) return null;
    return { order: route.order, taken: false, why, workers: [], durable: !this.#unwritten };
  }

  async #loadThenSwitch(route: Route): Promise<RouteAcknowledged> {
    await this.#ensure(armsOf(route));
    return this.exclusively(() => this.#switchTo(route));
  }

  /** What was published may have been overtaken by a rollback while its arms were loaded. */
  async #switchTo(route: Route): Promise<RouteAcknowledged> {
    const refused = this.#refuse(route);
    if (refused !== null) return refused;
    const { workers, durable } = await this.swap(taken(route));
    return { order: route.order, taken: true, why: null, workers: [...workers], durable };
  }

  /** `recreate`: requests wait while the others are freed and the arms loaded. */
  #holdThenSwitch(route: Route): Promise<RouteAcknowledged> {
    return this.exclusively(async () => {
      const refused = this.#refuse(route);
      if (refused !== null) return refused;
      const before = this.#record;
      this.#holdMs = route.hold?.maxMs ?? null;
      const held = before === null ? [] : await this.#swapWorkers();
      const arms = armsOf(route);
      const kept = new Set(arms.map((arm) => this.#key(arm)));
      try {
        const others = this.#parts.loaded.keysOf(this.endpoint).filter((key) => !kept.has(key));
        await Promise.all(others.map((key) => this.#dropIdle(key)));
        await this.#ensure(arms);
      } catch (error) {
        await this.#comeBack(before);
        throw error;
      }
      const switched = await this.#switchTo(route);
      return { ...switched, workers: switched.workers.map((each) => admittedBefore(each, held)) };
    });
  }

  /** The arms could not be loaded: what was served before is loaded again. */
  async #comeBack(before: RouteRecord | null): Promise<void> {
    this.#holdMs = null;
    if (before === null) return;
    const arms = armsOf(effectiveRoute(before));
    await Promise.all(arms.map((arm) => this.#parts.loaded.begin(this.endpoint, arm)));
    // Requests go on waiting for the revision itself, as after any crash of it.
    await this.#swapWorkers();
  }

  /** Before the workers: what they tell of the interval must find it known. */
  #watched({ watch }: Route): void {
    this.#parts.onInterval(this.endpoint, this.#interval, watch);
  }

  async #swapWorkers(): Promise<Swapped[]> {
    const served = this.served;
    if (served === null) return [];
    return (await this.#parts.workers.all({ kind: "swap", ...served })) as Swapped[];
  }

  async #usage(since: number): Promise<Usage[]> {
    const { endpoint } = this;
    return (await this.#parts.workers.all({ kind: "usage", endpoint, since })) as Usage[];
  }

  async #ensure(revisions: readonly RouteRevision[]): Promise<void> {
    await Promise.all(
      revisions.map((revision) => this.#parts.loaded.ensure(this.endpoint, revision)),
    );
  }

  #key(revision: RouteRevision): string {
    return revisionKey(this.endpoint, revision.revision, revision.digest);
  }

  /** Keys that a route in force, in preparation or being left names. */
  #needed(): ReadonlySet<string> {
    const inForce = this.#record === null ? [] : [this.#record.route];
    const routes = [...inForce, ...this.#leaving, ...this.#preparing];
    return new Set(routes.flatMap((route) => route.revisions.map((each) => this.#key(each))));
  }

  async #loadAndClear({ route }: RouteRecord): Promise<void> {
    const { loaded, log } = this.#parts;
    const needed = this.#needed();
    try {
      for (const revision of route.revisions) {
        if (needed.has(this.#key(revision))) await loaded.begin(this.endpoint, revision);
      }
      const leaving = loaded.keysOf(this.endpoint).filter((key) => !needed.has(key));
      await Promise.all(leaving.map((key) => this.#dropIdle(key)));
    } catch (error) {
      log("error", `${this.endpoint}: clearing up failed`, { why: String(error) });
    }
  }

  /** Unloads a revision once nothing is in flight on it, unless it is needed again by then. */
  async #dropIdle(key: string): Promise<void> {
    const { clock, timers } = this.#parts;
    const deadline = clock.monotonic() + LEAVE_MS;
    for (let wait = 1; clock.monotonic() < deadline; wait = Math.min(wait * 2, 50)) {
      const usage = await this.#usage(0);
      if (usage.every((each) => (each.inFlight[key] ?? 0) === 0)) break;
      await timers.pause(wait);
    }
    if (this.#holdMs !== null || !this.#needed().has(key)) await this.#parts.loaded.drop(key);
  }

  async #remember(): Promise<boolean> {
    const record = this.#record;
    if (record === null) return true;
    this.#unwritten = true;
    const written = this.#file.write(record).then(
      () => {
        if (this.#record === record) this.#unwritten = false;
        return true;
      },
      (error: unknown) => {
        this.#parts.log("error", `${this.endpoint}: the route could not be written`, {
          why: String(error),
        });
        this.#parts.timers.after(RETRY_MS, () => this.#rememberAgain(record));
        return false;
      },
    );
    return Promise.race([written, this.#parts.timers.pause(DURABLE_MS).then(() => false)]);
  }

  #rememberAgain(record: RouteRecord): void {
    if (this.#record === record && this.#unwritten) void this.#remember();
  }
}

/** A held switch admitted its last request to the old revision when the hold began. */
function admittedBefore(swapped: Swapped, held: readonly Swapped[]): Swapped {
  const first = held.find((each) => each.worker === swapped.worker);
  return first === undefined
    ? swapped
    : { ...swapped, lastOldAdmittedAt: swapped.lastOldAdmittedAt ?? first.lastOldAdmittedAt };
}
