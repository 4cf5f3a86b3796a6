import { randomUUID } from "node:crypto";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  isPinned,
  isReturnDue,
  isTickDue,
  pendingEffects,
  repeated,
  transition,
  type Effect,
  type EndpointEvent,
  type EndpointState,
  type Outcome,
} from "../../core/rollout/index.ts";
import type { EndpointDeps, StoredEndpoint } from "./deps.ts";
import { withLogLines } from "./left-log-lines.ts";
import { RolloutWatch } from "./rollout-watch.ts";
import type { RoutePublisher } from "./route-publisher.ts";
import {
  chooseAgain,
  prepareCandidate,
  switchTraffic,
  type SwitchClock,
} from "./switch-traffic.ts";

type Waiter = (outcome: Outcome) => void;

/** How a command is known and timed. */
export interface CommandOptions {
  /** The same again is the same command: it is not done twice. */
  readonly operation: string;
  /** Monotonic, ms, where its switch is measured from the moment it was read. */
  readonly readAt?: number;
}

/** When a route that did not reach every gateway is published again. */
interface Republish {
  readonly waitMs: number;
  /** Monotonic, ms. */
  readonly at: number;
}

/** Waits before what the store did not take is tried again, ms. */
const FIRST_RETRY_MS = 100;
const MOST_RETRY_MS = 2_000;
const REPUBLISH_MS = 1_000;
const MOST_REPUBLISH_MS = 30_000;

/**
 * Runs one endpoint: takes events one at a time through the pure machine, stores state and history
 * together, and carries out the effects. Whatever it was doing when its process died is done again
 * from the stored state.
 */
export class EndpointController {
  readonly #deps: EndpointDeps;
  readonly #publisher: RoutePublisher;
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #settledListeners = new Set<() => void>();
  readonly #running = new Set<string>();
  readonly #switchClock: SwitchClock = new Map();
  #stored: StoredEndpoint;
  #turn: Promise<unknown> = Promise.resolve();
  #stopped = false;
  #isLooking = false;
  #isRetrying = false;
  /** Set while the gateways do not have the newest route. */
  #republish: Republish | null = null;
  #pinned = false;
  /** What the evidence of the rollout under way says. */
  readonly watch: RolloutWatch;

  constructor(deps: EndpointDeps, publisher: RoutePublisher, stored: StoredEndpoint) {
    this.#deps = deps;
    this.watch = new RolloutWatch(deps, (state) => publisher.chooseNow(state));
    this.#publisher = publisher;
    this.#stored = stored;
  }

  get state(): EndpointState {
    return this.#stored.state;
  }

  get historyHead(): string | null {
    return this.#stored.historyHead;
  }

  /** Goes on with whatever the stored state waits for. */
  resume(): void {
    this.#carryOut(pendingEffects(this.state));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Whether the command was taken already, by this control plane or by one before it. */
  hasTaken(operation: string): boolean {
    return repeated(this.state, operation) !== null;
  }

  /**
   * Gives the machine an event and waits for its own outcome. `event` is made when its turn comes,
   * so that it sees the newest state; a command that was taken already is only waited for.
   * @throws the refusal, or `store.unavailable` when it could not be stored; then nothing changed.
   */
  async command(
    event: () => Promise<EndpointEvent> | EndpointEvent,
    { operation, readAt }: CommandOptions,
  ): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const waiters = this.#waiters.get(operation) ?? new Set<Waiter>();
    this.#waiters.set(operation, waiters.add(resolve));
    try {
      await this.#inTurn(async () => {
        const repeat = repeated(this.state, operation);
        if (repeat !== null) {
          this.#carryOut(repeat.effects);
          return;
        }
        const switches = await this.#apply(await event());
        if (readAt !== undefined) for (const id of switches) this.#switchClock.set(id, readAt);
      });
    } catch (error) {
      waiters.delete(resolve);
      if (waiters.size === 0) this.#waiters.delete(operation);
      throw error;
    }
    return promise;
  }

  /** Gives the machine a fact; one that it refuses or that cannot be stored is told to the journal. */
  async report(event: EndpointEvent): Promise<void> {
    await this.#inTurn(() => this.#apply(event));
  }

  /** Does what has its time: pauses, bakes, what is tried again, a look at the evidence per interval. */
  tick(): void {
    const now = this.#deps.clock.now();
    if (this.#pinned !== isPinned(this.state, now)) {
      this.#pinned = !this.#pinned;
      this.refresh();
    }
    // A switch publishes by itself until it is there.
    if (this.#isSettled() && this.#deps.clock.monotonic() >= (this.#republish?.at ?? Infinity)) {
      this.#republish = this.#republishLater();
      this.refresh();
    }
    if (!this.#isRetrying && isReturnDue(this.state, now)) void this.#retry();
    if (isTickDue(this.state, now))
      this.report({ type: "tick" }).catch((error: unknown) => this.#complain("tick", error));
    if (!this.#isLooking && this.watch.isDue(this.state)) void this.#look();
  }

  /** A way back that stays wanted: where it would go now is given to the machine. */
  async #retry(): Promise<void> {
    this.#isRetrying = true;
    try {
      const wanted = this.state.wanted?.id ?? "";
      const choice = await chooseAgain(this.#surroundings(), this.state);
      await this.report({ type: "retry", wanted, rollbackId: randomUUID(), choice });
    } catch (error) {
      this.#complain("the rollback that is wanted", error);
      await this.#deps.timers.pause(MOST_RETRY_MS);
    } finally {
      this.#isRetrying = false;
    }
  }

  /** What the evidence says, given to the machine where it changes anything. */
  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const look = await this.watch.look(this.state);
      if (look === null || this.#stopped) return;
      await this.#inTurn(async () => {
        const { state, effects, history } = transition(
          this.state,
          look.event,
          this.#deps.clock.now(),
        );
        if (state !== this.state || effects.length > 0 || history.length > 0)
          await this.#apply(look.event);
      });
    } catch (error) {
      this.#complain("the evidence of the rollout", error);
    } finally {
      this.#isLooking = false;
    }
  }

  /** Resolves as soon as no switch and no preparation is under way. */
  whenSettled(): Promise<void> {
    if (this.#isSettled()) return Promise.resolve();
    return new Promise((resolve) => {
      const listener = (): void => {
        if (!this.#isSettled()) return;
        this.#settledListeners.delete(listener);
        resolve();
      };
      this.#settledListeners.add(listener);
    });
  }

  /** Publishes the route anew because a proof or a status changed. */
  refresh(): void {
    void this.#publishIfChanged();
  }

  /**
   * A gateway told how a revision fares. While a route cannot be published that is no reason to try
   * at once: where it fails to load, each try would be told of like this.
   */
  proofChanged(): void {
    if (this.#republish === null) this.refresh();
  }

  async #publishIfChanged(): Promise<void> {
    let isThere = false;
    try {
      isThere = await this.#publisher.publishIfChanged(() => this.#stored);
    } catch (error) {
      this.#complain("publish", error);
    }
    this.#republish = isThere ? null : this.#republishLater();
  }

  #republishLater(): Republish {
    const waitMs = Math.min(MOST_REPUBLISH_MS, (this.#republish?.waitMs ?? 0) * 2 || REPUBLISH_MS);
    return { waitMs, at: this.#deps.clock.monotonic() + waitMs };
  }

  #isSettled(): boolean {
    const { activity } = this.state;
    switch (activity.phase) {
      case "Idle":
        return true;
      case "Progressing":
      case "Baking":
        return activity.switching === null;
      case "Preparing":
      case "RollingBack":
        return false;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** One event: decide, store, then act. Gives the ids of the switches it began. */
  async #apply(event: EndpointEvent): Promise<readonly string[]> {
    if (this.#stopped) throw new LastgoodError("server.unreachable", "the server is stopping");
    const { checkpoint, clock } = this.#deps;
    const now = clock.now();
    const { state, effects, history } = transition(this.state, event, now);
    checkpoint(`${event.type}.decided`);
    if (state !== this.state || history.length > 0) {
      this.#stored = await this.#save(state, effects, history, now);
      checkpoint(`${event.type}.stored`);
    }
    this.#carryOut(effects);
    // A route names the history's head, so that a gateway can tell it should the store be lost.
    if (history.length > 0 && this.#isSettled()) this.refresh();
    for (const listener of this.#settledListeners) listener();
    return effects.flatMap((effect) => (effect.do === "switch" ? [effect.switchId] : []));
  }

  /** State, history and verdicts on versions: all of it or nothing. */
  async #save(
    state: EndpointState,
    effects: readonly Effect[],
    history: ReturnType<typeof transition>["history"],
    now: number,
  ): Promise<StoredEndpoint> {
    const { name, model } = state.identity;
    const saved = await this.#deps.store.transaction(async (nouns) => {
      for (const effect of effects) {
        if (effect.do !== "judge") continue;
        await nouns.versions.mark({
          model,
          sequence: effect.sequence,
          status: effect.status,
          reason: effect.reason,
          at: now,
        });
      }
      return nouns.endpoints.save({
        name,
        model,
        state,
        revisionOfState: this.#stored.revisionOfState,
        entries: history.map((record) => ({ at: now, ...record })),
      });
    });
    for (const entry of saved.entries) this.#deps.onEntry(entry);
    for (const effect of effects) {
      if (effect.do !== "judge" || effect.status !== "failed") continue;
      const { sequence, reason } = effect;
      this.#deps.onVersionFailed({ endpoint: name, model, sequence, reason });
    }
    return { state, revisionOfState: saved.revisionOfState, historyHead: saved.historyHead };
  }

  #carryOut(effects: readonly Effect[]): void {
    let published = Promise.resolve();
    for (const effect of effects) {
      switch (effect.do) {
        case "judge":
          break;
        case "settle":
          this.#settle(effect, published);
          break;
        case "alarm":
          this.#deps.journal.error(effect.message, {
            alarm: effect.code,
            endpoint: this.state.identity.name,
          });
          break;
        case "publish":
          published = this.#publishIfChanged();
          break;
        case "prepare":
          this.#once(`prepare ${effect.rolloutId}`, () =>
            prepareCandidate(this.#surroundings(), effect),
          );
          break;
        case "switch":
          this.#once(`switch ${effect.switchId}`, async () => {
            const done = await switchTraffic(this.#surroundings(), effect, this.#switchClock);
            this.#switchClock.delete(effect.switchId);
            return done === null ? null : withLogLines(this.#deps, this.state, done);
          });
          break;
      }
    }
  }

  /** Where a failure takes the traffic back, it is told once the traffic is there (law 3). */
  #settle(
    { operation, outcome }: Extract<Effect, { do: "settle" }>,
    published: Promise<void>,
  ): void {
    const waiters = this.#waiters.get(operation) ?? [];
    this.#waiters.delete(operation);
    const tell = (): void => {
      for (const resolve of waiters) resolve(outcome);
    };
    if (outcome.ok) tell();
    else void published.then(tell);
  }

  #surroundings(): Parameters<typeof switchTraffic>[0] {
    return {
      deps: this.#deps,
      publisher: this.#publisher,
      stored: () => this.#stored,
      isStopped: () => this.#stopped,
    };
  }

  /** Runs a long effect, unless it runs already, and gives its result to the machine. */
  #once(key: string, work: () => Promise<EndpointEvent | null>): void {
    if (this.#running.has(key)) return;
    this.#running.add(key);
    // On the next turn of the loop, so that the clock of a command is set before its switch starts.
    this.#deps.timers.soon(() => {
      void this.#insist(key, work)
        .then((event) => (event === null ? undefined : this.#persist(event)))
        .catch((error: unknown) => this.#complain(key, error))
        .finally(() => this.#running.delete(key));
    });
  }

  /** What the store did not let be finished is done again: all of it is safe to do twice. */
  async #insist(
    key: string,
    work: () => Promise<EndpointEvent | null>,
  ): Promise<EndpointEvent | null> {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, MOST_RETRY_MS)) {
      try {
        return await work();
      } catch (error) {
        if (this.#stopped || LastgoodError.from(error).code !== "store.unavailable") throw error;
        this.#complain(key, error);
        await this.#deps.timers.pause(waitMs);
      }
    }
  }

  /** A fact about what has happened is told until the store takes it. */
  async #persist(event: EndpointEvent): Promise<void> {
    for (
      let waitMs = FIRST_RETRY_MS;
      !this.#stopped;
      waitMs = Math.min(waitMs * 2, MOST_RETRY_MS)
    ) {
      try {
        await this.report(event);
        return;
      } catch (error) {
        if (LastgoodError.from(error).code !== "store.unavailable") throw error;
        this.#complain(event.type, error);
        await this.#deps.timers.pause(waitMs);
      }
    }
  }

  #complain(what: string, error: unknown): void {
    if (this.#stopped) return;
    const { code, message } = LastgoodError.from(error);
    this.#deps.journal.error(`${what}: ${message}`, { code, endpoint: this.state.identity.name });
  }
}
