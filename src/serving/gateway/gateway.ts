import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { endpointNameSchema } from "../../core/version/index.ts";
import type { KernelLock } from "../../link/lock/index.ts";
import type { GatewayStatus, Probed } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import {
  listenPeers,
  ownIdentity,
  type PeerIdentity,
  type PeerListener,
} from "../../link/peer/index.ts";
import { requestIdKey } from "../../link/request-id/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import { systemTimers } from "../../link/timer/index.ts";
import { EvidenceDesk } from "../evidence/index.ts";
import type { GrpcProtocol, ScoringProtocol } from "../protocol/index.ts";
import { takeAddress, type TakenAddress } from "./address-lock.ts";
import { BreakerWatch } from "./breaker-watch.ts";
import { systemClock } from "./clock.ts";
import { ControlLink } from "./control-link.ts";
import { EndpointSwitch, type SwitchParts } from "./endpoint-switch.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import { gatewayRequests } from "./gateway-requests.ts";
import { LoadedRevisions, type Runtimes } from "./loaded-revisions.ts";
import type { Log } from "./log.ts";
import { isPassedThrough } from "./passed-through.ts";
import { prunePredictions } from "./prediction-log.ts";
import { probeEndpoint } from "./probe.ts";
import { recordedEndpoints, RouteFile } from "./route-file.ts";
import { WorkerPool, type WorkerNews } from "./worker-pool.ts";

const REPLAY_EVERY_MS = 60_000;
const FOLDER_CHECK_MS = 3_000;
const PRUNE_PREDICTIONS_MS = 60_000;

/** What a gateway is composed of. */
export interface GatewayParts {
  readonly config: GatewayConfig;
  readonly runtimes: Runtimes;
  readonly protocols: readonly ScoringProtocol[];
  /** Loads the protocol of the gRPC port. */
  readonly grpc: () => Promise<GrpcProtocol>;
  readonly log: Log;
}

/** The main thread of a gateway: it decides nothing, it holds what the data plane needs to go on alone. */
export class Gateway {
  readonly #parts: GatewayParts;
  readonly #self: PeerIdentity;
  readonly #routesFolder: string;
  readonly #predictionsFolder: string;
  readonly #endpoints = new Map<string, EndpointSwitch>();
  readonly #inUse = new Map<string, Set<string>>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #workers: WorkerPool;
  readonly #loaded: LoadedRevisions;
  readonly #evidence: EvidenceDesk;
  readonly #breaker: BreakerWatch;
  readonly #probeToken = randomBytes(16).toString("hex");
  readonly #port: number;
  readonly #grpcPort: number | null;
  readonly #locks: readonly KernelLock[];
  #control: ControlLink | null = null;
  #admin: PeerListener | null = null;
  #ended: Promise<void> | null = null;

  private constructor(parts: GatewayParts, taken: TakenAddress, grpc: TakenAddress | null) {
    const { config, log } = parts;
    this.#parts = parts;
    this.#port = taken.port;
    this.#grpcPort = grpc?.port ?? null;
    this.#locks = grpc === null ? [taken.lock] : [taken.lock, grpc.lock];
    this.#self = ownIdentity("gateway", config.build, config.dataDir);
    this.#routesFolder = join(config.dataDir, "routes");
    this.#predictionsFolder = join(config.dataDir, "predictions");
    this.#evidence = new EvidenceDesk({
      gateway: hostname(),
      incarnation: this.#self.nonce,
      clock: systemClock,
      onReady: () => this.#control?.evidenceReady(),
    });
    this.#workers = new WorkerPool({
      entry: config.workerEntry,
      count: workersOf(parts, taken),
      settings: {
        workers: workersOf(parts, taken),
        gateway: hostname(),
        incarnation: this.#self.nonce,
        build: config.build,
        host: config.serveHost,
        port: taken.port,
        reusePort: taken.reusePort && config.workers > 1,
        grpc:
          grpc === null || config.grpc === null
            ? null
            : {
                host: config.grpc.host,
                port: grpc.port,
                reusePort: taken.reusePort && config.workers > 1,
              },
        defaultEndpoint: config.defaultEndpoint,
        predictionsFolder: this.#predictionsFolder,
        requestIdKey: requestIdKey(join(config.dataDir, "keys", "request-id.key")),
        probeToken: this.#probeToken,
      },
      log,
      prepare: async (worker, send) => {
        await this.#loaded.introduce(worker, send);
        this.#evidence.join(worker);
        const served = [...this.#endpoints.values()].flatMap((endpoint) => endpoint.served ?? []);
        await Promise.all(served.map((each) => send({ kind: "swap", ...each })));
      },
      onNews: (worker, news) => this.#hear(worker, news),
      onGone: (worker) => {
        this.#loaded.workerGone(worker);
        this.#evidence.gone(worker);
      },
    });
    this.#loaded = new LoadedRevisions({
      runtimes: parts.runtimes,
      workers: this.#workers,
      onState: (state) => this.#control?.revisionState(state),
      onTrouble: (endpoint, revision, trouble) => {
        if (trouble === "crashed") this.#breaker.crashed(endpoint, revision);
        else this.#breaker.breached(endpoint, revision.revision, trouble);
      },
      log,
    });
    this.#breaker = new BreakerWatch({
      endpoint: (name) => this.#endpoints.get(name),
      loaded: this.#loaded,
      workers: this.#workers,
      onOverride: (override) => this.overrideMade(override),
      log,
    });
  }

  /**
   * Starts a gateway from what its data folder remembers; resolves when it serves. Requests for a
   * revision that is still being loaded or adopted wait for it.
   * @throws `address.in-use`.
   */
  static async start(parts: GatewayParts): Promise<Gateway> {
    const { config } = parts;
    const lockFolder = dirname(config.socketFolder);
    const taken = await takeAddress(lockFolder, config.serveHost, config.servePort);
    let gateway: Gateway;
    try {
      gateway = new Gateway(parts, taken, await takeGrpcAddress(lockFolder, config));
    } catch (error) {
      taken.lock.release();
      throw error;
    }
    try {
      await gateway.#begin();
    } catch (error) {
      await gateway.#workers.end();
      gateway.#release();
      throw error;
    }
    return gateway;
  }

  /** The port that serves. */
  get port(): number {
    return this.#port;
  }

  /** Resolves when the gateway has ended, whoever asked for it. */
  readonly whenEnded = Promise.withResolvers<void>();

  /** What this gateway is and serves. */
  status(): GatewayStatus {
    const endpoints = [...this.#endpoints.values()];
    return {
      gateway: hostname(),
      incarnation: this.#self.nonce,
      workers: this.#workers.size,
      serveAddress: `${this.#parts.config.serveHost}:${this.#port}`,
      grpcAddress:
        this.#grpcPort === null ? null : `${this.#parts.config.grpc?.host ?? ""}:${this.#grpcPort}`,
      routes: endpoints.flatMap(({ record }) => record?.route ?? []),
      overrides: endpoints.flatMap(({ overrides }) => overrides),
      revisions: this.#loaded.states(),
    };
  }

  /** The endpoint's switch; one is made where the name is new. */
  endpoint(name: EndpointSwitch["endpoint"]): EndpointSwitch {
    let endpoint = this.#endpoints.get(name);
    if (endpoint === undefined) {
      endpoint = new EndpointSwitch(
        name,
        new RouteFile(this.#routesFolder, name),
        this.#switchParts(),
      );
      this.#endpoints.set(name, endpoint);
    }
    return endpoint;
  }

  /**
   * An endpoint that has a route, by its name or its model's where it alone serves it; null means
   * the only one.
   * @throws `endpoint.not-found`, `endpoint.ambiguous`.
   */
  servedEndpoint(name: string | null): EndpointSwitch {
    const served = [...this.#endpoints.values()].filter((each) => each.record !== null);
    const names = served.map((each) => each.endpoint).join(", ") || "none";
    if (name !== null) {
      const ofModel = served.filter((each) => each.record?.route.model === name);
      const found = served.find((each) => each.endpoint === name) ?? ofModel[0];
      if (found !== undefined && (found.endpoint === name || ofModel.length === 1)) return found;
      throw new LastgoodError(
        "endpoint.not-found",
        `no endpoint is named "${name}"; served: ${names}`,
      );
    }
    const [only, other] = served;
    if (only === undefined) throw new LastgoodError("endpoint.not-found", "nothing is served yet");
    if (other === undefined) return only;
    throw new LastgoodError("endpoint.ambiguous", `which endpoint? served: ${names}`);
  }

  /** Notes what was done here alone and tells the control plane. */
  overrideMade(override: Override): void {
    const { endpoint, from, to, actor, trigger, reason } = override;
    const how = trigger === "manual" ? "without the control plane" : "by itself";
    this.#parts.log("warn", `rolled back ${endpoint} ${how}`, { from, to, actor, trigger, reason });
    this.#control?.overrideMade();
  }

  /** Accepts nothing more, finishes what is in flight, ends the model processes, and itself. */
  drain(timeoutMs: number): Promise<void> {
    this.#ended ??= this.#end(timeoutMs);
    return this.#ended;
  }

  async #begin(): Promise<void> {
    const { config, log } = this.#parts;
    await this.#resume();
    await this.#workers.start();
    const onRequest = gatewayRequests(this, this.#parts.runtimes);
    this.#admin = await listenPeers(
      join(config.socketFolder, "gateway.sock"),
      { self: this.#self, onRequest },
      () => undefined,
    );
    this.#control = new ControlLink({
      socket: join(config.socketFolder, "control.sock"),
      self: this.#self,
      onRequest,
      status: () => this.status(),
      overrides: () => this.status().overrides,
      evidence: this.#evidence,
      log,
    });
    for (const endpoint of this.#endpoints.values()) endpoint.loadOthers();
    this.#timers.push(
      setInterval(() => void this.#loaded.replayAll(), REPLAY_EVERY_MS),
      setInterval(() => this.#checkFolder(), FOLDER_CHECK_MS),
      setInterval(
        () => void prunePredictions(this.#predictionsFolder, Date.now()),
        PRUNE_PREDICTIONS_MS,
      ),
    );
    log("info", "serving", { host: config.serveHost, port: this.#port, grpcPort: this.#grpcPort });
  }

  async #resume(): Promise<void> {
    for (const name of await recordedEndpoints(this.#routesFolder)) {
      try {
        await this.endpoint(endpointNameSchema.parse(name)).resume();
      } catch (error) {
        this.#parts.log("error", `the record of ${name} could not be read`, { why: String(error) });
      }
    }
  }

  #checkFolder(): void {
    if (existsSync(this.#parts.config.dataDir)) return;
    this.#parts.log("error", "the data folder is gone: nothing is left to serve for");
    void this.drain(0);
  }

  async #end(timeoutMs: number): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    // All of them first: callers that one worker sends away would be at the next one's door.
    await this.#workers.all({ kind: "stopListening" });
    await this.#workers.all({ kind: "drain", timeoutMs });
    await this.#workers.all({ kind: "lastCounts" });
    await this.#control?.close();
    await this.#loaded.dropAll();
    await this.#workers.end();
    this.#release();
    // The answer to whoever asked for the drain still has to leave.
    setTimeout(() => {
      void Promise.resolve(this.#admin?.close()).then(() => this.whenEnded.resolve());
    }, 50);
  }

  #release(): void {
    for (const lock of this.#locks) lock.release();
  }

  #hear(worker: number, news: WorkerNews): void {
    if (news.kind === "counts") this.#control?.count(news.counts);
    else if (news.kind === "protocol") {
      const known = this.#inUse.get(news.endpoint) ?? new Set();
      this.#inUse.set(news.endpoint, known.add(news.protocol));
    } else if (news.kind === "evidence") this.#evidence.take(worker, news.report);
    else if (news.kind === "predictionsDropped") {
      const { count } = news;
      this.#parts.log("warn", "predictions were not logged: labels of them count for nothing", {
        worker,
        count,
      });
    } else if (news.kind === "defect") {
      this.#parts.log("error", "a defect: an unhandled rejection", { worker, error: news.error });
    } else if (news.kind === "breach") {
      this.#breaker.breached(news.endpoint, news.revision, news.breach);
    } else this.#loaded.hear(worker, news);
  }

  #switchParts(): SwitchParts {
    const { log } = this.#parts;
    return {
      loaded: this.#loaded,
      workers: this.#workers,
      log,
      clock: systemClock,
      timers: systemTimers,
      onInterval: (endpoint, interval, watch) => this.#evidence.route(endpoint, interval, watch),
      probe: (target) => this.#probe(target),
    };
  }

  /** In each protocol that is in use at the endpoint since the start. */
  async #probe(target: Parameters<SwitchParts["probe"]>[0]): Promise<Probed> {
    const { config, protocols, grpc } = this.#parts;
    const inUse = this.#inUse.get(target.endpoint) ?? new Set();
    const port = inUse.has("oip-grpc") ? this.#grpcPort : null;
    return probeEndpoint({
      ...target,
      passedPath: isPassedThrough(target.revision) ? healthPath(config, target.revision) : null,
      host: config.serveHost,
      port: this.#port,
      token: this.#probeToken,
      protocols: protocols.filter(({ name }) => name === "oip" || inUse.has(name)),
      grpc: port === null ? null : { protocol: await grpc(), port },
    });
  }
}

/** Where a server that speaks something of its own says that it is ready. */
function healthPath(
  { remotes, launchers }: GatewayConfig,
  { runtime }: Pick<RouteRevision, "runtime">,
): string {
  if (runtime.kind === "onnx") return "/";
  const server = runtime.kind === "remote" ? remotes[runtime.remote] : launchers[runtime.launcher];
  return server?.health ?? "/";
}

function workersOf({ config }: GatewayParts, { reusePort }: TakenAddress): number {
  return reusePort ? config.workers : 1;
}

function takeGrpcAddress(folder: string, { grpc }: GatewayConfig): Promise<TakenAddress> | null {
  return grpc === null ? null : takeAddress(folder, grpc.host, grpc.port, "--grpc-address");
}
