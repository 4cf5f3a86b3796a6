import type { ArmCounts } from "../../src/core/analysis/index.ts";
import type { Tensor } from "../../src/core/tensor/index.ts";
import { parseEndpointName } from "../../src/core/version/index.ts";
import type { Watch } from "../../src/link/route/index.ts";
import { EvidenceCollector } from "../../src/serving/evidence/collector.ts";
import type { EvidenceDraft } from "../../src/serving/evidence/merge.ts";
import { EvidenceRecorder, type ArmRecorder } from "../../src/serving/evidence/recorder.ts";
import type { RequestTicket } from "../../src/serving/evidence/ticket.ts";
import type { InferResult } from "../../src/serving/runtime/index.ts";

/** The candidate of the stage. */
export const CANDIDATE = 2;
/** Its stable revision. */
export const STABLE = 1;

/** What is watched on the stage: intervals of 1 s, a deadline of 5 s. */
export const WATCH: Watch = {
  rollout: "r1",
  candidate: CANDIDATE,
  stable: STABLE,
  candidateShare: null,
  flushMs: 1_000,
  deadlineMs: 5_000,
  mirror: null,
  inputs: null,
};

/** An answer of a version that took so long and gave this class. */
export function answer(modelMs = 1, label = 0): InferResult {
  const data = BigInt64Array.of(BigInt(label));
  return { outputs: [{ name: "label", dtype: "INT64", shape: [1], data }], modelMs, batch: 1 };
}

/** Workers and the main thread of one endpoint under watch, on a clock that a test moves. */
export class EvidenceStage {
  /** CLOCK_MONOTONIC, ms. */
  now = 10_000;
  readonly records: EvidenceDraft[] = [];
  readonly workers = new Map<number, EvidenceRecorder>();
  readonly collector: EvidenceCollector;
  #interval = 0;
  #watch: Watch | null = null;
  readonly #count: number;

  constructor(workers = 1) {
    this.#count = workers;
    const clock = { now: () => 1_000_000 + this.now, monotonic: () => this.now };
    const source = {
      gateway: "host",
      incarnation: "i1",
      endpoint: parseEndpointName("iris-prod"),
    };
    this.collector = new EvidenceCollector(source, clock, []);
    for (let worker = 0; worker < workers; worker += 1) this.join(worker);
    this.watch(WATCH);
  }

  /** A worker begins. */
  join(worker: number): void {
    const recorder = new EvidenceRecorder("iris-prod", () => this.now, this.#count);
    recorder.route(this.#interval, this.#watch);
    this.workers.set(worker, recorder);
    this.collector.join(worker);
  }

  /** The split or the watch changes. */
  watch(watch: Watch | null): void {
    this.#interval += 1;
    this.#watch = watch;
    this.collector.route(this.#interval, watch);
    for (const recorder of this.workers.values()) recorder.route(this.#interval, watch);
  }

  arm(revision = CANDIDATE, worker = 0): ArmRecorder {
    const arm = this.workers.get(worker)?.arm(revision) ?? null;
    if (arm === null) throw new Error(`worker ${worker} does not watch revision ${revision}`);
    return arm;
  }

  /** Admits a request now. */
  admit(
    revision = CANDIDATE,
    key: string | null = null,
    worker = 0,
    inputs: readonly Tensor[] = [],
  ): RequestTicket {
    return this.arm(revision, worker).admit(this.now, key, inputs);
  }

  /** A worker dies. */
  kill(worker: number): void {
    this.workers.delete(worker);
    this.records.push(...this.collector.gone(worker));
  }

  /** Moves the clock, and lets every worker tell what it has. */
  pass(ms: number): EvidenceDraft[] {
    this.now += ms;
    const before = this.records.length;
    for (const [worker, recorder] of this.workers)
      this.records.push(...this.collector.take(worker, recorder.flush()));
    return this.records.slice(before);
  }

  /** Every worker tells the last it has: the gateway ends. */
  end(): EvidenceDraft[] {
    const before = this.records.length;
    for (const [worker, recorder] of this.workers)
      this.records.push(...this.collector.take(worker, recorder.flush(true)));
    return this.records.slice(before);
  }

  /** The counts of an arm in a record. */
  counts(record: EvidenceDraft | undefined, revision = CANDIDATE): ArmCounts {
    const arm = record?.arms.find((each) => each.revision === revision);
    if (arm === undefined) throw new Error(`no record of revision ${revision}`);
    return arm.counts;
  }
}
