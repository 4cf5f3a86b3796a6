import type { Clock } from "../../core/time/index.ts";
import type { Watch } from "../../link/route/index.ts";
import { MergeMemory, type EvidenceDraft } from "./merge.ts";
import { revisionsOf } from "./recorder.ts";
import { LAST_TICK, type EvidenceReport, type Through, type WindowTally } from "./tally.ts";

/** Silence is told of this often: no requests must look different from no gateway, ms. */
const QUIET_MS = 10_000;
/** Intervals that a worker is said to have taken with it, at the most. */
const MOST_LOST = 1_000;

/** The windows of one split. */
interface Series {
  readonly interval: number;
  readonly watch: Watch;
  readonly memory: MergeMemory;
  readonly windows: Map<number, WindowTally[]>;
  readonly lost: Map<number, number>;
  /** CLOCK_MONOTONIC, ms: what lies before is told. */
  toldUntil: number;
  /** CLOCK_MONOTONIC, ms; null while it goes on. */
  endedAt: number | null;
}

/** Who speaks, in every record. */
export type EvidenceSource = Pick<EvidenceDraft, "gateway" | "incarnation" | "endpoint">;

/**
 * Makes records of one endpoint out of what its workers tell. A record is made once every worker has
 * closed its window, and in the order of the windows: one that is quick to fail must not be looked at
 * before one that is slow to succeed.
 */
export class EvidenceCollector {
  readonly #source: EvidenceSource;
  readonly #clock: Clock;
  readonly #workers = new Map<number, Through>();
  readonly #series: Series[] = [];
  #interval = -1;

  constructor(source: EvidenceSource, clock: Clock, workers: Iterable<number>) {
    this.#source = source;
    this.#clock = clock;
    for (const worker of workers) this.join(worker);
  }

  /** The workers are about to get this route. */
  route(interval: number, watch: Watch | null): void {
    if (interval === this.#interval) return;
    this.#interval = interval;
    const now = this.#clock.monotonic();
    const last = this.#series.at(-1);
    if (last !== undefined) last.endedAt ??= now;
    if (watch === null) return;
    const isSame = last?.watch.rollout === watch.rollout;
    this.#series.push({
      interval,
      watch,
      memory: isSame ? last.memory : new MergeMemory(),
      windows: new Map(),
      lost: new Map(),
      toldUntil: now,
      endedAt: null,
    });
  }

  /** A worker begins to serve: from now on there is no record without it. */
  join(worker: number): void {
    const series = this.#series.at(-1);
    const tick = series === undefined ? 0 : tickAt(series, this.#clock.monotonic());
    this.#workers.set(worker, { interval: this.#interval, tick: tick - 1 });
  }

  /** A worker has ended; what it had not told is lost. */
  gone(worker: number): EvidenceDraft[] {
    const through = this.#workers.get(worker);
    if (through === undefined) return [];
    this.#workers.delete(worker);
    const now = this.#clock.monotonic();
    for (const series of this.#series) {
      if (through.interval > series.interval) continue;
      const isWithin = through.interval === series.interval;
      const until = tickAt(series, series.endedAt ?? now);
      const first = isWithin ? through.tick + 1 : tickAt(series, series.toldUntil);
      for (let tick = Math.max(first, until - MOST_LOST + 1); tick <= until; tick += 1)
        series.lost.set(tick, (series.lost.get(tick) ?? 0) + 1);
    }
    return this.#advance();
  }

  /** Takes in what a worker tells; gives the records that are complete now. */
  take(worker: number, { windows, through }: EvidenceReport): EvidenceDraft[] {
    // One that has ended is counted as lost already.
    if (!this.#workers.has(worker)) return [];
    for (const window of windows) {
      const series = this.#series.find((each) => each.interval === window.interval);
      const known = series?.windows.get(window.tick);
      if (known === undefined) series?.windows.set(window.tick, [window]);
      else known.push(window);
    }
    this.#workers.set(worker, through);
    return this.#advance();
  }

  #advance(): EvidenceDraft[] {
    const slowest = [...this.#workers.values()].toSorted(
      (a, b) => a.interval - b.interval || a.tick - b.tick,
    )[0];
    const drafts: EvidenceDraft[] = [];
    for (let series = this.#series[0]; series !== undefined; series = this.#series[0]) {
      if (slowest === undefined || slowest.interval < series.interval) break;
      const isOver = slowest.interval > series.interval;
      const isLast = !isOver && slowest.tick === LAST_TICK;
      if (isLast) series.endedAt ??= this.#clock.monotonic();
      drafts.push(...this.#emit(series, isOver ? Infinity : slowest.tick));
      if (isLast) drafts.push({ ...this.#draft(series, Infinity, []), ends: true });
      if (!isOver && !isLast) break;
      this.#series.shift();
    }
    return drafts;
  }

  #emit(series: Series, through: number): EvidenceDraft[] {
    const { windows, lost, watch } = series;
    const ticks = [...new Set([...windows.keys(), ...lost.keys()])]
      .filter((tick) => tick <= through)
      .toSorted((a, b) => a - b);
    const drafts = ticks.map((tick) => {
      const draft = this.#draft(series, (tick + 1) * watch.flushMs, windows.get(tick) ?? []);
      draft.lost = lost.get(tick) ?? 0;
      windows.delete(tick);
      lost.delete(tick);
      return draft;
    });
    const end = series.endedAt ?? this.#clock.monotonic();
    const passed = Math.min((through + 1) * watch.flushMs, end);
    if (passed - series.toldUntil >= QUIET_MS) drafts.push(this.#draft(series, passed, []));
    return drafts;
  }

  #draft(series: Series, end: number, windows: readonly WindowTally[]): EvidenceDraft {
    const { watch, memory, interval, endedAt } = series;
    const from = series.toldUntil;
    const to = Math.max(from, Math.min(end, endedAt ?? end));
    series.toldUntil = to;
    return {
      ...this.#source,
      rollout: watch.rollout,
      split: interval,
      candidateShare: hasKeys(windows) ? null : watch.candidateShare,
      from: this.#wallTime(from),
      to: this.#wallTime(to),
      ...memory.merge(windows, revisionsOf(watch), splitOf(watch)),
      lost: 0,
    };
  }

  #wallTime(monotonic: number): number {
    return Math.round(this.#clock.now() - (this.#clock.monotonic() - monotonic));
  }
}

/** Whether sticky keys had a part in who went where. */
function hasKeys(windows: readonly WindowTally[]): boolean {
  return windows.some(({ arms }) => arms.some(({ keys }) => keys.size > 0));
}

/** Null where one of two revisions gets everything: nothing is compared by who got what. */
function splitOf({ candidate, candidateShare }: Watch): { readonly candidate: number } | null {
  const isSplit = candidateShare !== null && candidateShare > 0 && candidateShare < 1;
  return isSplit ? { candidate } : null;
}

function tickAt({ watch }: Series, at: number): number {
  return Math.floor(at / watch.flushMs);
}
