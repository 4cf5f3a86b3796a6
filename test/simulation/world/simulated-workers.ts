import type { Route, RouteRevision } from "../../../src/link/route/index.ts";
import type { EvidenceDesk } from "../../../src/serving/evidence/index.ts";
import type {
  Swapped,
  Usage,
  WorkerCommand,
} from "../../../src/serving/gateway/thread-messages.ts";
import type { Truth } from "./models.ts";
import { keyOf } from "./simulated-revisions.ts";
import { drawWindow } from "./simulated-traffic.ts";
import type { Life, VirtualTime } from "./virtual-time.ts";

const WORKERS = [0, 1] as const;
/** Of 100 requests this many are slow to end when what serves changes. */
const LINGER_MS = 40;

/** What a worker serves of the endpoint. */
export interface Served {
  readonly route: Route;
  readonly interval: number;
  readonly holdMs: number | null;
}

/** What the workers of a gateway have around them. */
export interface WorkerSurroundings {
  readonly time: VirtualTime;
  readonly life: Life;
  readonly random: () => number;
  /** Requests a second at the gateway. */
  readonly rate: () => number;
  readonly truthOf: (revision: RouteRevision) => Truth;
  /** Where their evidence goes. */
  readonly desk: EvidenceDesk;
  readonly onSwap: (worker: number, served: Served) => void;
}

/** The workers of a gateway, and the requests that come to them. */
export class SimulatedWorkers {
  readonly #around: WorkerSurroundings;
  readonly #served = WORKERS.map(() => new Map<string, Served>());
  readonly #busyUntil = new Map<string, number>();
  readonly #told = new Map<string, number>();

  constructor(around: WorkerSurroundings) {
    this.#around = around;
    for (const worker of WORKERS) around.desk.join(worker);
  }

  /** Their numbers. */
  get listening(): number[] {
    return [...WORKERS];
  }

  /** What each of them serves of an endpoint; undefined where one serves nothing of it. */
  servedBy(endpoint: string): readonly (Served | undefined)[] {
    return this.#served.map((worker) => worker.get(endpoint));
  }

  async all(command: WorkerCommand): Promise<unknown[]> {
    const { life, random } = this.#around;
    return Promise.all(
      WORKERS.map(async (worker) => {
        await life.timers.pause(random() * 2);
        if (command.kind === "swap") return this.#swap(worker, command);
        if (command.kind === "usage") return this.#usage(command.endpoint);
        return null;
      }),
    );
  }

  #swap(worker: number, { route, interval, holdMs }: Served): Swapped {
    const { time, random, onSwap } = this.#around;
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
    onSwap(worker, served);
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

  /** Tells what was admitted in every interval that is over by now, and what became of it. */
  tellTraffic(): void {
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
    const { random, rate, truthOf, desk } = this.#around;
    const expected = (rate() * watch.flushMs) / 1_000 / WORKERS.length;
    const requests = Math.floor(expected * (0.7 + 0.6 * random()));
    const window = drawWindow(route, watch, { interval, tick, requests, random, truthOf });
    desk.take(worker, { endpoint, windows: [window], through: { interval, tick } });
  }
}
