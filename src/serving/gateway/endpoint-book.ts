import type { OutputValue } from "../../core/tensor/index.ts";
import type { Count } from "../../link/count/index.ts";
import { RequestIds, type RequestWay } from "../../link/request-id/index.ts";
import type { Route } from "../../link/route/index.ts";
import { RouteTable } from "../routing/index.ts";
import type { ModelAddress } from "../runtime/index.ts";
import { monotonic } from "./clock.ts";
import { CountBook } from "./count-book.ts";
import type { CrowdRoom } from "./crowd.ts";
import { EvidenceBook } from "./evidence-book.ts";
import { Guard } from "./guard.ts";
import { OwnFailures } from "./own-failures.ts";
import { PredictionLog } from "./prediction-log.ts";
import { RoutedEndpoint } from "./routed-endpoint.ts";
import { ServedRevision, type ConnectModel } from "./served-revision.ts";
import type { StrikeReport } from "./strikes.ts";
import { SuspectDesk } from "./suspect-desk.ts";
import type { FromWorker, Swapped, Usage, WorkerSettings } from "./thread-messages.ts";

/** A request whose answer is noted for labels. */
interface Predicted {
  readonly endpoint: string;
  readonly requestId: string;
}

/** What one worker knows: routes, connections to revisions, counts. */
export class EndpointBook {
  readonly suspects: SuspectDesk;
  readonly guard: Guard;
  readonly failures = new OwnFailures();
  readonly evidence: EvidenceBook;
  readonly predictions: PredictionLog;
  readonly #settings: WorkerSettings;
  readonly #connect: ConnectModel;
  readonly #post: (message: FromWorker) => void;
  readonly #counts: CountBook;
  readonly #served = new Map<string, ServedRevision>();
  readonly #ids = new Map<string, RequestIds>();
  /** Of requests that the split did not assign, by key and way. */
  readonly #apartIds = new Map<string, RequestIds>();
  /** Protocols in use, by endpoint. */
  readonly #protocols = new Map<string, Set<string>>();
  #routed: ReadonlyMap<string, RoutedEndpoint> = new Map();
  #table: RouteTable;

  constructor(
    settings: WorkerSettings,
    connect: ConnectModel,
    post: (message: FromWorker) => void,
  ) {
    this.#settings = settings;
    this.#connect = connect;
    this.#post = post;
    this.#counts = new CountBook(settings);
    this.evidence = new EvidenceBook(monotonic, settings.workers, (report) =>
      post({ kind: "evidence", report }),
    );
    this.predictions = new PredictionLog({
      folder: settings.predictionsFolder,
      incarnation: settings.incarnation,
      worker: settings.worker,
      now: Date.now,
      onDropped: (count) => post({ kind: "predictionsDropped", count }),
    });
    this.#table = new RouteTable([], settings.defaultEndpoint);
    this.suspects = new SuspectDesk(post);
    this.guard = new Guard(post);
  }

  get table(): RouteTable {
    return this.#table;
  }

  /**
   * The endpoint that a URL's name means now.
   * @throws `route.not-found`.
   */
  find(name: string | null): RoutedEndpoint {
    const found = this.#routed.get(this.#table.find(name).endpoint);
    if (found === undefined) throw new Error("the route table and the routed endpoints differ");
    return found;
  }

  /** The connection to a revision; one that is not dialled yet has a closed gate. */
  served(key: string): ServedRevision {
    let served = this.#served.get(key);
    if (served === undefined) {
      served = new ServedRevision({
        key,
        worker: this.#settings.worker,
        subject: key.slice(0, key.lastIndexOf("@")),
        connect: this.#connect,
        suspects: this.suspects,
        onLost: (lost) => this.#post({ kind: "lost", key: lost }),
      });
      this.#served.set(key, served);
    }
    return served;
  }

  /** True where requests can go to the revision at once. */
  isReady(key: string): boolean {
    return this.#served.get(key)?.gate.isOpen === true;
  }

  /** An endpoint is ready when each of its arms is. */
  isEndpointReady(routed: RoutedEndpoint): boolean {
    return (
      routed.hold === null &&
      [...routed.revisions()].every(
        (each) => !routed.compiled.isArm(each.revision.revision) || this.isReady(each.key),
      )
    );
  }

  /** True when every endpoint is. */
  isReadyForAll(): boolean {
    return [...this.#routed.values()].every((routed) => this.isEndpointReady(routed));
  }

  /** A new id for a request to the revision; feedback on what the split assigned is told by it. */
  requestId(key: string, way: RequestWay = "assigned"): string {
    const known = way === "assigned" ? this.#ids : this.#apartIds;
    const place = way === "assigned" ? key : `${key} ${way}`;
    let ids = known.get(place);
    if (ids === undefined) {
      const { requestIdKey, worker } = this.#settings;
      const subject = key.slice(0, key.lastIndexOf("@")).replace("/", ".");
      ids = new RequestIds(requestIdKey, subject, worker, way);
      known.set(place, ids);
    }
    return ids.next(Date.now());
  }

  /**
   * Notes what was answered to a request that the split assigned, where the route asks for it.
   * `mirroredTo`: the revision that will be given it as well, of which `mirrored` tells then.
   */
  predicted(
    { endpoint, requestId }: Predicted,
    outputs: readonly OutputValue[],
    mirroredTo: number | null,
  ): void {
    if (this.#notesPredictions(endpoint)) this.predictions.note(requestId, outputs, mirroredTo);
  }

  /** Notes what another revision made of the same request; null: nothing. */
  mirrored(
    { endpoint, requestId }: Predicted,
    revision: number,
    outputs: readonly OutputValue[] | null,
  ): void {
    if (this.#notesPredictions(endpoint))
      this.predictions.noteMirrored(requestId, revision, outputs);
  }

  #notesPredictions(endpoint: string): boolean {
    return this.#routed.get(endpoint)?.compiled.route.predictions === true;
  }

  /** Notes that the protocol is in use at the endpoint. */
  notice(endpoint: string, protocol: string): void {
    const known = this.#protocols.get(endpoint);
    if (known?.has(protocol) === true) return;
    if (known === undefined) this.#protocols.set(endpoint, new Set([protocol]));
    else known.add(protocol);
    this.#post({ kind: "protocol", endpoint, protocol });
  }

  async connect(key: string, address: ModelAddress, inFlight: CrowdRoom): Promise<void> {
    await this.served(key).connect(address, inFlight);
  }

  async disconnect(key: string): Promise<void> {
    const served = this.#served.get(key);
    this.#served.delete(key);
    this.#ids.delete(key);
    for (const place of this.#apartIds.keys())
      if (place.startsWith(`${key} `)) this.#apartIds.delete(place);
    await served?.disconnect();
  }

  /** Replaces an endpoint's route; requests admitted from here on follow it. */
  swap(route: Route, interval: number, holdMs: number | null): Swapped {
    const previous = this.#routed.get(route.endpoint);
    const counts = this.#counts;
    const evidence = this.evidence.route(route, interval);
    const routed = new RoutedEndpoint(route, { interval, holdMs, previous, counts, evidence });
    this.#table = this.#table.with(routed.compiled);
    this.#routed = new Map(this.#routed).set(route.endpoint, routed);
    const swappedAt = monotonic();
    const old = this.#outsideSplit(routed);
    const left = [...(previous?.arms ?? [])].filter((revision) => !routed.arms.has(revision));
    const admissions = old
      .filter((served) =>
        left.some((revision) => served.subject === `${route.endpoint}/${revision}`),
      )
      .flatMap((served) => (served.lastAdmittedAt === null ? [] : [served.lastAdmittedAt]));
    previous?.hold?.gate.open();
    return {
      worker: this.#settings.worker,
      swappedAt,
      lastOldAdmittedAt: admissions.length === 0 ? null : Math.max(...admissions),
      oldInFlight: old.reduce((sum, served) => sum + served.inFlight, 0),
    };
  }

  usage(endpoint: string, since: number): Usage {
    const routed = this.#routed.get(endpoint);
    const old = routed === undefined ? [] : this.#outsideSplit(routed);
    const responses = old.flatMap((served) =>
      served.lastResponseAt !== null && served.lastResponseAt >= since
        ? [served.lastResponseAt]
        : [],
    );
    return {
      inFlight: Object.fromEntries(
        [...this.#served.values()]
          .filter((served) => served.subject.startsWith(`${endpoint}/`))
          .map((served) => [served.key, served.inFlight + served.standingIn]),
      ),
      oldInFlight: old.reduce((sum, served) => sum + served.inFlight, 0),
      lastOldResponseAt: responses.length === 0 ? null : Math.max(...responses),
      failedRequests: this.failures.since(since),
    };
  }

  /** How the requests of those revisions end that have been served here. */
  strikes(keys: readonly string[]): Readonly<Record<string, StrikeReport>> {
    return Object.fromEntries(
      keys.flatMap((key) => {
        const served = this.#served.get(key);
        return served === undefined ? [] : [[key, served.strikes.report]];
      }),
    );
  }

  /** Counts that changed since they were last asked for. */
  changedCounts(): Count[] {
    return this.#counts.changed(
      ({ endpoint, interval }) => this.#routed.get(endpoint)?.interval === interval,
    );
  }

  #outsideSplit(routed: RoutedEndpoint): ServedRevision[] {
    const inside = new Set(
      [...routed.revisions()]
        .filter((each) => routed.arms.has(each.revision.revision))
        .map((each) => each.key),
    );
    return [...this.#served.values()].filter(
      (served) =>
        served.subject.startsWith(`${routed.compiled.endpoint}/`) && !inside.has(served.key),
    );
  }
}
