import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  Signals,
  type Collected,
  type SignalsOptions,
  type Watched,
} from "../../src/control/signals/index.ts";
import type { Signal } from "../../src/core/analysis/index.ts";
import {
  defaultPolicy,
  NO_SIGNAL_SOURCES,
  type Metric,
  type SignalSources,
} from "../../src/core/policy/index.ts";
import { RequestIds, type RequestWay } from "../../src/link/request-id/index.ts";
import { openSqliteStore, type Store } from "../../src/storage/store/index.ts";

const KEY = "a key of request ids";

/** ms since 1970 at which the stage's clock stands until it is moved. */
export const NOW = 1_800_000_000_000;

/** A metric of the default policy under another kind: only what its kind needs is given. */
export function metricOf(over: Partial<Metric> & Pick<Metric, "kind" | "name">): Metric {
  const base = defaultPolicy("canary").analysis.metrics.find(({ kind }) => kind === "accuracy");
  return { ...base, ...over } as Metric;
}

/** Signals over a real store in a folder of their own. */
export class SignalsStage {
  readonly folder = mkdtempSync(join(tmpdir(), "lg-signals-"));
  readonly predictionsFolder = join(this.folder, "predictions");
  readonly warnings: string[] = [];
  now = NOW;
  /** What server.yaml names, from the next start on. */
  sources: SignalSources = NO_SIGNAL_SOURCES;
  #store: Store | null = null;
  #signals: Signals | null = null;
  readonly #options: Partial<SignalsOptions>;

  constructor(options: Partial<SignalsOptions> = {}) {
    this.#options = options;
  }

  get store(): Store {
    if (this.#store === null) throw new Error("the stage is not open");
    return this.#store;
  }

  get signals(): Signals {
    if (this.#signals === null) throw new Error("the stage is not open");
    return this.#signals;
  }

  async open(): Promise<void> {
    this.#store = await openSqliteStore({ path: join(this.folder, "store.db") });
    this.#signals = new Signals({
      store: this.#store,
      now: () => this.now,
      dataDir: this.folder,
      sources: this.sources,
      env: {},
      requestIdKey: () => KEY,
      warn: (message) => void this.warnings.push(message),
      ...this.#options,
    });
  }

  /** As a control plane that was killed and started again. */
  async restart(): Promise<void> {
    this.signals.stop();
    await this.store.close();
    await this.open();
  }

  async end(): Promise<void> {
    this.#signals?.stop();
    await this.#store?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  ids(revision: number, way: RequestWay = "assigned", endpoint = "fraud-prod"): RequestIds {
    return new RequestIds(KEY, `${endpoint}.${revision}`, 0, way);
  }

  watched(metrics: readonly Metric[], over: Partial<Watched> = {}): Watched {
    return {
      endpoint: "fraud-prod",
      rollout: "r1",
      candidate: 2,
      stable: 1,
      candidateVersion: "v1.1",
      stableVersion: "v1.0",
      metrics,
      since: this.now - 60_000,
      splits: [],
      broken: [],
      ...over,
    };
  }

  collect(watched: Watched): Promise<Collected> {
    return this.signals.collect(watched, this.now);
  }

  /** Confirms, as whoever stores the signals does. */
  async confirm(collected: Collected): Promise<void> {
    await this.store.transaction((nouns) => collected.confirm(nouns));
  }

  /** Collects and confirms. */
  async take(watched: Watched): Promise<Readonly<Record<string, Signal>>> {
    const collected = await this.collect(watched);
    await this.confirm(collected);
    return collected.signals;
  }
}
