import type { Clock } from "../../core/time/index.ts";
import type { Evidence } from "../../link/count/index.ts";
import type { Watch } from "../../link/route/index.ts";
import { EvidenceCollector, type EvidenceSource } from "./collector.ts";
import type { EvidenceDraft } from "./merge.ts";
import { EvidenceOutbox } from "./outbox.ts";
import type { EvidenceReport } from "./tally.ts";

/** What the desk needs of its gateway. */
export interface EvidenceDeskOptions {
  readonly gateway: string;
  readonly incarnation: string;
  readonly clock: Clock;
  /** There is something to send. */
  readonly onReady: () => void;
}

interface Tray {
  readonly collector: EvidenceCollector;
  readonly outbox: EvidenceOutbox;
}

/** Records in one message at the most. */
const MOST_RECORDS = 1_000;

/** The main thread's side of recording: workers tell it what they saw, the link takes records from it. */
export class EvidenceDesk {
  readonly #options: EvidenceDeskOptions;
  readonly #trays = new Map<string, Tray>();
  readonly #workers = new Set<number>();

  constructor(options: EvidenceDeskOptions) {
    this.#options = options;
  }

  /** The workers are about to get this route; within an interval split and watch are the same. */
  route(endpoint: EvidenceSource["endpoint"], interval: number, watch: Watch | null): void {
    const known = this.#trays.get(endpoint);
    if (known === undefined && watch === null) return;
    (known ?? this.#newTray(endpoint)).collector.route(interval, watch);
  }

  /** A worker is about to get its first routes. */
  join(worker: number): void {
    this.#workers.add(worker);
    for (const { collector } of this.#trays.values()) collector.join(worker);
  }

  /** A worker has ended. */
  gone(worker: number): void {
    this.#workers.delete(worker);
    for (const tray of this.#trays.values()) this.#add(tray, tray.collector.gone(worker));
  }

  /** A worker tells what it saw. */
  take(worker: number, report: EvidenceReport): void {
    const tray = this.#trays.get(report.endpoint);
    if (tray !== undefined) this.#add(tray, tray.collector.take(worker, report));
  }

  /** What is to be sent now: the same again until it is acknowledged. */
  batch(): readonly Evidence[] {
    const records = [...this.#trays.values()].flatMap(({ outbox }) => outbox.batch());
    return records.slice(0, MOST_RECORDS);
  }

  /** The control plane has stored these. */
  acknowledge(records: readonly Evidence[]): void {
    for (const { endpoint, sequence } of records)
      this.#trays.get(endpoint)?.outbox.acknowledge(sequence);
  }

  #newTray(endpoint: EvidenceSource["endpoint"]): Tray {
    const { gateway, incarnation, clock } = this.#options;
    const source = { gateway, incarnation, endpoint };
    const collector = new EvidenceCollector(source, clock, this.#workers);
    const tray = { collector, outbox: new EvidenceOutbox() };
    this.#trays.set(endpoint, tray);
    return tray;
  }

  #add({ outbox }: Tray, drafts: readonly EvidenceDraft[]): void {
    if (drafts.length === 0) return;
    outbox.add(drafts);
    this.#options.onReady();
  }
}
