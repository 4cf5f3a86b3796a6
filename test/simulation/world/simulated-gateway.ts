import { LastgoodError } from "../../../src/core/errors/index.ts";
import type { GatewayStatus, Probed, RevisionState } from "../../../src/link/message/index.ts";
import type { Override } from "../../../src/link/override/index.ts";
import type { Frame, PeerIdentity } from "../../../src/link/peer/index.ts";
import type { Route, RouteRevision } from "../../../src/link/route/index.ts";
import { EvidenceDesk } from "../../../src/serving/evidence/index.ts";
import { ControlLink } from "../../../src/serving/gateway/control-link.ts";
import { EndpointSwitch, type SwitchParts } from "../../../src/serving/gateway/endpoint-switch.ts";
import { gatewayRequests } from "../../../src/serving/gateway/gateway-requests.ts";
import { rollBack } from "../../../src/serving/gateway/rollback.ts";
import type { RouteRecord } from "../../../src/serving/gateway/route-file.ts";
import {
  revisionKey,
  type Swapped,
  type Usage,
  type WorkerCommand,
} from "../../../src/serving/gateway/thread-messages.ts";
import type { Truth } from "./models.ts";
import type { Network } from "./network.ts";
import { drawWindow } from "./simulated-traffic.ts";
import { Life, type VirtualTime } from "./virtual-time.ts";

const CONTROL_SOCKET = "control.sock";
const WORKERS = [0, 1] as const;
/** Of 100 requests this many are slow to end when what serves changes. */
const LINGER_MS = 40;

/** What is the same for all gateways of a world. */
export interface Surroundings {
  readonly time: VirtualTime;
  readonly network: Network;
  readonly random: () => number;
  readonly truths: ReadonlyMap<string, Truth>;
  /** Requests a second at each gateway. */
  readonly rate: () => number;
  readonly watch: GatewayWatch;
  /** Seams where a broken build is put in. */
  readonly sabotage: GatewaySabotage;
}

/** Where somebody looks over a gateway's shoulder. */
export interface GatewayWatch {
  swapped(gateway: SimulatedGateway, worker: number, served: Served): void;
  unloaded(gateway: SimulatedGateway, key: string): void;
  probed(gateway: SimulatedGateway, revision: number, ok: boolean): void;
  overrode(gateway: SimulatedGateway, override: Override): void;
}

/** Mechanisms of a gateway that a broken build leaves out. */
export interface GatewaySabotage {
  /** What becomes of a route that arrives. */
  readonly route?: (route: Route) => Route;
  /** What is known is forgotten when a route arrives. */
  readonly forgets?: boolean;
  /** Traffic is switched to what is not loaded yet. */
  readonly isHasty?: boolean;
  readonly probed?: (probed: Probed) => Probed;
}

/** What a worker serves of the endpoint. */
export interface Served {
  readonly route: Route;
  readonly interval: number;
  readonly holdMs: number | null;
}

/** What of a gateway outlives its process: the newest record of each endpoint. */
export class GatewayDisk {
  readonly records = new Map<string, string>();
  fullUntil = 0;
}

interface Loaded {
  readonly revision: RouteRevision;
  readonly endpoint: Route["endpoint"];
  state: RevisionState;
  readyAt: number | null;
  ready: PromiseWithResolvers<void>;
}

/**
 * A gateway process with everything of it that decides (routes and their order, switches, overrides,
 * the link, the evidence), on simulated workers, model processes, disk, and traffic.
 */
export class SimulatedGateway {
  readonly name: string;
  readonly life: Life;
  readonly disk: GatewayDisk;
  readonly #around: Surroundings;
  readonly #incarnation: string;
  readonly #endpoints = new Map<Route["endpoint"], EndpointSwitch>();
  readonly #loaded = new Map<string, Loaded>();
  readonly #served = WORKERS.map(() => new Map<string, Served>());
  readonly #busyUntil = new Map<string, number>();
  readonly #desk: EvidenceDesk;
  readonly #answer: ReturnType<typeof gatewayRequests>;
  readonly #told = new Map<string, number>();
  #control: ControlLink | null = null;
  /** When it last told a control plane what it is. */
  introducedAt = 0;
  readonly startedAt: number;
  /** Order of the route it came up with: its arms may still be loading, their requests wait. */
  resumedWith: Route["order"] | null = null;
  /** Virtual time until which no probe is answered. */
  probesFailUntil = 0;

  constructor(name: string, disk: GatewayDisk, around: Surroundings) {
    this.name = name;
    this.disk = disk;
    this.startedAt = around.time.now;
    this.#around = around;
    this.life = new Life(around.time);
    this.#incarnation = `${name}-${around.time.now}-${Math.trunc(around.random() * 1e9)}`;
    this.#desk = new EvidenceDesk({
      gateway: name,
      incarnation: this.#incarnation,
      clock: around.time.clock,
      onReady: () => this.#control?.evidenceReady(),
    });
    for (const worker of WORKERS) this.#desk.join(worker);
    this.#answer = gatewayRequests(
      this,
      {} as Parameters<typeof gatewayRequests>[1],
      around.time.clock,
    );
  }

  /** Comes up with what its disk remembers. */
  async start(): Promise<void> {
    for (const name of this.disk.records.keys()) {
      const endpoint = this.endpoint(name as Route["endpoint"]);
      await endpoint.resume();
      this.resumedWith = endpoint.record?.route.order ?? null;
      if (endpoint.served !== null) await this.#workers({ kind: "swap", ...endpoint.served });
    }
    const self = { role: "gateway", pid: 1, nonce: this.#incarnation } as PeerIdentity;
    this.#control = new ControlLink({
      socket: CONTROL_SOCKET,
      self,
      onRequest: (frame) => this.#answered(frame),
      status: () => this.status(),
      overrides: () => this.#overrides(),
      evidence: this.#desk,
      log: () => undefined,
      connect: this.#around.network.connectorOf(this.life),
      timers: this.life.timers,
    });
    for (const endpoint of this.#endpoints.values()) endpoint.loadOthers();
    this.life.timers.every(500, () => this.#traffic());
  }

  endpoint(name: Route["endpoint"]): EndpointSwitch {
    const known = this.#endpoints.get(name);
    if (known !== undefined) return known;
    const made = new EndpointSwitch(name, this.#file(name), this.#parts());
    this.#endpoints.set(name, made);
    return made;
  }

  servedEndpoint(name: string | null): EndpointSwitch {
    const all = [...this.#endpoints.values()].filter((each) => each.record !== null);
    const found = all.find((each) => each.endpoint === (name ?? each.endpoint));
    if (found !== undefined) return found;
    throw new LastgoodError("endpoint.not-found", "nothing is served yet");
  }

  status(): GatewayStatus {
    this.introducedAt = this.#around.time.now;
    const records = [...this.#endpoints.values()].flatMap((each) => each.record ?? []);
    return {
      gateway: this.name,
      incarnation: this.#incarnation,
      workers: WORKERS.length,
      serveAddress: this.name,
      grpcAddress: null,
      routes: records.map(({ route }) => route),
      overrides: [...this.#overrides()],
      revisions: [...this.#loaded.values()].map(({ state }) => state),
    };
  }

  #overrides(): readonly Override[] {
    return [...this.#endpoints.values()].flatMap((each) => each.overrides);
  }

  overrideMade(override: Override): void {
    this.#around.watch.overrode(this, override);
    this.#control?.overrideMade();
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  /** What a worker serves of an endpoint, the first worker's where none is named. */
  served(endpoint: string): readonly Served[] {
    return this.#served.flatMap((worker) => worker.get(endpoint) ?? []);
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

  /** What a person on this machine asks of the gateway alone. */
  rollBackAlone(endpoint: string, actor: string): ReturnType<typeof rollBack> {
    const command = {
      endpoint,
      version: null,
      ifCurrent: null,
      actor,
      reason: "it is on fire",
      keepStatus: false,
      again: false,
      dryRun: false,
    };
    return this.#rollBack(command, {});
  }

  /** The breaker's rollback of a candidate. */
  trip(endpoint: string, leaves: number): ReturnType<typeof rollBack> {
    const command = {
      endpoint,
      version: null,
      ifCurrent: null,
      actor: "lastgood",
      reason: "20 failures in a row",
      keepStatus: false,
      again: true,
      dryRun: false,
    };
    return this.#rollBack(command, { trigger: "breaker", leaves });
  }

  /** Golden samples are replayed: what is wrong by now is found out. */
  replay(): void {
    for (const loaded of this.#loaded.values()) {
      const { state } = loaded.state;
      if (state === "ready" && this.#truth(loaded.revision).wrong)
        this.#become(loaded, "failed", "a golden sample disagrees", "preflight.rejected");
      else if (state === "failed" && this.#holds(loaded.revision)) this.#become(loaded, "ready");
    }
  }

  #rollBack(
    command: Parameters<typeof rollBack>[1],
    options: Partial<Parameters<typeof rollBack>[2]>,
  ): ReturnType<typeof rollBack> {
    const { clock } = this.#around.time;
    const asked = Promise.resolve().then(() =>
      rollBack(this.servedEndpoint(command.endpoint), command, {
        startedAt: clock.monotonic(),
        clock,
        onOverride: (override) => this.overrideMade(override),
        ...options,
      }),
    );
    return this.life.given(asked);
  }

  async #answered(frame: Frame): Promise<{ body: unknown }> {
    if (frame.kind === "route.publish") {
      const { route } = frame.body as { route: Route };
      const { sabotage } = this.#around;
      const altered = sabotage.route?.(route) ?? route;
      if (sabotage.forgets === true) await this.#forget(route.endpoint);
      return this.life.given(
        Promise.resolve(this.#answer({ ...frame, body: { route: altered } }, {} as never)),
      );
    }
    return this.life.given(Promise.resolve(this.#answer(frame, {} as never)));
  }

  async #forget(name: Route["endpoint"]): Promise<void> {
    const endpoint = this.endpoint(name);
    const { record } = endpoint;
    if (record === null) return;
    const order = { generation: 0, epoch: 0, sequence: 0 };
    const forgotten = { route: { ...record.route, order }, overrides: [] };
    await endpoint.exclusively(() => endpoint.amend(forgotten));
  }

  #file(name: string): ConstructorParameters<typeof EndpointSwitch>[1] {
    const { disk, life } = this;
    return {
      read: () => {
        const text = disk.records.get(name);
        return Promise.resolve(text === undefined ? null : (JSON.parse(text) as RouteRecord));
      },
      write: async (record) => {
        const text = JSON.stringify(record);
        await life.timers.pause(this.#around.random() * 3);
        if (this.#around.time.now < disk.fullUntil) throw new Error("no space left");
        disk.records.set(name, text);
      },
    };
  }

  #parts(): SwitchParts {
    const { time } = this.#around;
    return {
      loaded: {
        begin: (endpoint, revision) => this.#begin(endpoint, revision),
        ensure: async (endpoint, revision) => {
          const key = keyOf(endpoint, revision);
          // One that failed is tried again.
          if (this.stateOf(key) === "failed") this.#loaded.delete(key);
          await this.#begin(endpoint, revision);
          if (this.#around.sabotage.isHasty === true) return;
          await this.#loaded.get(key)?.ready.promise;
        },
        keysOf: (endpoint) =>
          [...this.#loaded.keys()].filter((key) => key.startsWith(`${endpoint}/`)),
        drop: (key) => this.#drop(key),
        get: (key) => {
          const loaded = this.#loaded.get(key);
          return loaded && { isProven: loaded.state.state === "ready", state: loaded.state };
        },
      },
      workers: {
        all: (command) => this.#workers(command),
        listening: () => [...WORKERS],
      },
      log: () => undefined,
      clock: time.clock,
      timers: this.life.timers,
      probe: (target) => this.#probe(target),
      onInterval: (endpoint, interval, watch) => this.#desk.route(endpoint, interval, watch),
    };
  }

  async #probe({
    endpoint,
    revision,
    apart,
  }: Parameters<SwitchParts["probe"]>[0]): Promise<Probed> {
    await this.life.timers.pause(this.#around.random() * 5);
    const { time, watch, sabotage } = this.#around;
    const isMute = this.#truth(revision).mute || time.now < this.probesFailUntil;
    const answers = this.#served.every((worker) => {
      const route = worker.get(endpoint)?.route;
      const arms = route?.split.arms ?? [];
      // As callers get it, where all of them get the same.
      if (!apart && arms.length === 1) return arms[0]?.revision === revision.revision;
      return route?.revisions.some((each) => each.revision === revision.revision) === true;
    });
    const isReady = this.stateOf(keyOf(endpoint, revision)) === "ready";
    const ok = !isMute && answers && isReady;
    if (!apart) watch.probed(this, revision.revision, ok);
    const answeredBy = ok ? revision.revision : null;
    const [status, why] = ok ? [200, null] : [503, "no answer"];
    const told: Probed = { ok, probes: [{ protocol: "oip", ok, status, answeredBy, ms: 1, why }] };
    return sabotage.probed?.(told) ?? told;
  }

  #truth(revision: RouteRevision): Truth {
    const truth = this.#around.truths.get(revision.digest);
    if (truth === undefined) throw new Error(`nobody made ${revision.digest}`);
    return truth;
  }

  #holds(revision: RouteRevision): boolean {
    const { corrupt, wrong } = this.#truth(revision);
    return !corrupt && !wrong;
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
    this.life.timers.after(20 + this.#around.random() * 200, () => this.#load(key, loaded));
  }

  #load(key: string, loaded: Loaded): void {
    if (this.#loaded.get(key) !== loaded) {
      loaded.ready.reject(new LastgoodError("runtime.unavailable", "it was unloaded"));
      return;
    }
    const truth = this.#truth(loaded.revision);
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
    const provenAt = state === "ready" ? this.#around.time.clock.now() : null;
    // What failed and was brought back is waited for anew.
    if (loaded.state.state === "failed") loaded.ready = Promise.withResolvers<void>();
    loaded.ready.promise.catch(() => undefined);
    loaded.state = { ...loaded.state, state, why, code, provenAt };
    loaded.readyAt = this.#around.time.now;
    this.#control?.revisionState(loaded.state);
    if (state === "ready") loaded.ready.resolve();
    else loaded.ready.reject(new LastgoodError(code ?? "runtime.unavailable", why ?? "it failed"));
  }

  async #drop(key: string): Promise<void> {
    const loaded = this.#loaded.get(key);
    if (loaded === undefined) return;
    this.#loaded.delete(key);
    this.#around.watch.unloaded(this, key);
    await this.life.timers.pause(5);
    if (!this.#loaded.has(key))
      this.#control?.revisionState({ ...loaded.state, state: "gone", provenAt: null });
  }

  async #workers(command: WorkerCommand): Promise<unknown[]> {
    return Promise.all(
      WORKERS.map(async (worker) => {
        await this.life.timers.pause(this.#around.random() * 2);
        if (command.kind === "swap") return this.#swap(worker, command);
        if (command.kind === "usage") return this.#usage(command.endpoint);
        return null;
      }),
    );
  }

  #swap(worker: number, { route, interval, holdMs }: Served): Swapped {
    const { time, random, watch } = this.#around;
    const before = this.#served[worker]?.get(route.endpoint);
    const old = (before?.route.split.arms ?? []).filter(
      ({ revision }) => !route.split.arms.some((arm) => arm.revision === revision),
    );
    for (const { revision } of old) {
      const described = before?.route.revisions.find((each) => each.revision === revision);
      // Now and then a request takes longer than anybody waits for it.
      const lingersMs = random() < 0.03 ? 12_000 : random() * LINGER_MS;
      if (described !== undefined)
        this.#busyUntil.set(keyOf(route.endpoint, described), time.now + lingersMs);
    }
    const served = { route, interval, holdMs };
    this.#served[worker]?.set(route.endpoint, served);
    watch.swapped(this, worker, served);
    return {
      worker,
      swappedAt: time.now,
      lastOldAdmittedAt: old.length === 0 ? null : time.now,
      oldInFlight: old.length,
    };
  }

  #usage(endpoint: string): Usage {
    const { now } = this.#around.time;
    const busy = [...this.#busyUntil].filter(
      ([key, until]) => until > now && key.startsWith(`${endpoint}/`),
    );
    return {
      inFlight: Object.fromEntries(busy.map(([key]) => [key, 1])),
      oldInFlight: busy.length,
      lastOldResponseAt: null,
      failedRequests: 0,
    };
  }

  /** What was admitted in every interval that is over by now, and what became of it. */
  #traffic(): void {
    const served = this.#served[0]?.values() ?? [];
    for (const { route, interval, holdMs } of served) {
      const { watch } = route;
      if (watch === null || holdMs !== null) continue;
      const tick = Math.floor(this.#around.time.now / watch.flushMs) - 1;
      const place = `${route.endpoint} ${interval}`;
      const from = this.#told.get(place) ?? tick - 1;
      this.#told.set(place, Math.max(from, tick));
      for (let each = Math.max(from + 1, tick - 20); each <= tick; each += 1)
        for (const worker of WORKERS) this.#tell(worker, { route, interval, tick: each });
    }
  }

  #tell(
    worker: number,
    {
      route,
      interval,
      tick,
    }: { readonly route: Route; readonly interval: number; readonly tick: number },
  ): void {
    const { watch, endpoint } = route;
    if (watch === null) return;
    const { random } = this.#around;
    const expected = (this.#around.rate() * watch.flushMs) / 1_000 / WORKERS.length;
    const requests = Math.floor(expected * (0.7 + 0.6 * random()));
    const truthOf = (revision: RouteRevision): Truth => this.#truth(revision);
    const window = drawWindow(route, watch, { interval, tick, requests, random, truthOf });
    this.#desk.take(worker, { endpoint, windows: [window], through: { interval, tick } });
  }
}

/** How a gateway knows a loaded revision. */
export function keyOf(endpoint: string, { revision, digest }: RouteRevision): string {
  return revisionKey(endpoint, revision, digest);
}
