import { LastgoodError } from "../../../src/core/errors/index.ts";
import type { GatewayStatus, Probed } from "../../../src/link/message/index.ts";
import type { Override } from "../../../src/link/override/index.ts";
import type { Frame, PeerIdentity } from "../../../src/link/peer/index.ts";
import type { Route } from "../../../src/link/route/index.ts";
import { EvidenceDesk } from "../../../src/serving/evidence/index.ts";
import { ControlLink } from "../../../src/serving/gateway/control-link.ts";
import { EndpointSwitch, type SwitchParts } from "../../../src/serving/gateway/endpoint-switch.ts";
import { gatewayRequests } from "../../../src/serving/gateway/gateway-requests.ts";
import { verifyInterrupted } from "../../../src/serving/gateway/interrupted-rollback.ts";
import { rollBack } from "../../../src/serving/gateway/rollback.ts";
import type { RouteRecord } from "../../../src/serving/gateway/route-file.ts";
import type { Truth } from "./models.ts";
import type { Network } from "./network.ts";
import { keyOf, SimulatedRevisions } from "./simulated-revisions.ts";
import { SimulatedWorkers, type Served } from "./simulated-workers.ts";
import { Life, type VirtualTime } from "./virtual-time.ts";

const CONTROL_SOCKET = "control.sock";
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

/** What of a gateway outlives its process: the newest record of each endpoint. */
export class GatewayDisk {
  readonly records = new Map<string, string>();
  fullUntil = 0;
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
  readonly incarnation: string;
  readonly #endpoints = new Map<Route["endpoint"], EndpointSwitch>();
  readonly revisions: SimulatedRevisions;
  readonly #workers: SimulatedWorkers;
  readonly #desk: EvidenceDesk;
  readonly #answer: ReturnType<typeof gatewayRequests>;
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
    this.incarnation = `${name}-${around.time.now}-${Math.trunc(around.random() * 1e9)}`;
    this.#desk = new EvidenceDesk({
      gateway: name,
      incarnation: this.incarnation,
      clock: around.time.clock,
      onReady: () => this.#control?.evidenceReady(),
    });
    const { time, random, truths, rate, watch } = around;
    this.revisions = new SimulatedRevisions({
      time,
      life: this.life,
      random,
      truths,
      isHasty: around.sabotage.isHasty === true,
      onState: (state) => this.#control?.revisionState(state),
      onDrop: (key) => watch.unloaded(this, key),
    });
    this.#workers = new SimulatedWorkers({
      time,
      life: this.life,
      random,
      rate,
      truthOf: (revision) => this.revisions.truthOf(revision),
      desk: this.#desk,
      onSwap: (worker, served) => watch.swapped(this, worker, served),
    });
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
      if (endpoint.served !== null) await this.#workers.all({ kind: "swap", ...endpoint.served });
    }
    for (const endpoint of this.#endpoints.values())
      void this.life.given(
        verifyInterrupted(endpoint, {
          clock: this.#around.time.clock,
          onOverride: (override) => this.overrideMade(override),
          log: () => undefined,
        }),
      );
    const self = { role: "gateway", pid: 1, nonce: this.incarnation } as PeerIdentity;
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
    this.life.timers.every(500, () => this.#workers.tellTraffic());
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
      incarnation: this.incarnation,
      workers: this.#workers.listening.length,
      serveAddress: this.name,
      grpcAddress: null,
      routes: records.map(({ route }) => route),
      overrides: [...this.#overrides()],
      revisions: this.revisions.states,
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
    return this.#workers.servedBy(endpoint).flatMap((served) => served ?? []);
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
      loaded: this.revisions.parts,
      workers: {
        all: (command) => this.#workers.all(command),
        listening: () => this.#workers.listening,
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
    const isMute = this.revisions.truthOf(revision).mute || time.now < this.probesFailUntil;
    const answers = this.#workers.servedBy(endpoint).every((served) => {
      const route = served?.route;
      const arms = route?.split.arms ?? [];
      // As callers get it, where all of them get the same.
      if (!apart && arms.length === 1) return arms[0]?.revision === revision.revision;
      return route?.revisions.some((each) => each.revision === revision.revision) === true;
    });
    const isReady = this.revisions.stateOf(keyOf(endpoint, revision)) === "ready";
    const ok = !isMute && answers && isReady;
    if (!apart) watch.probed(this, revision.revision, ok);
    const answeredBy = ok ? revision.revision : null;
    const [status, why] = ok ? [200, null] : [503, "no answer"];
    const told: Probed = { ok, probes: [{ protocol: "oip", ok, status, answeredBy, ms: 1, why }] };
    return sabotage.probed?.(told) ?? told;
  }
}
