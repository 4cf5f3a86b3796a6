import { globSync } from "node:fs";
import { join } from "node:path";

import type { Signal } from "../../core/analysis/index.ts";
import type { FeedbackItem, FeedbackService, FeedbackTaken } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Metric, SignalSources } from "../../core/policy/index.ts";
import type { Store } from "../../storage/store/index.ts";
import { FeedbackDesk } from "./feedback-desk.ts";
import { FeedbackSource } from "./feedback-source.ts";
import { HealthSource, type HealthState } from "./health-source.ts";
import { LabelJoin } from "./label-join.ts";
import { lastLinesOf } from "./last-lines.ts";
import { LogsSource, outputOf, recentLinesIn } from "./log-source.ts";
import { PredictionReader } from "./prediction-reader.ts";
import { PrometheusSource } from "./prometheus-source.ts";
import {
  brokenSignal,
  saysSomething,
  type Collected,
  type Seen,
  type SignalSource,
  type Watched,
} from "./watched.ts";

/** What signals are made with. */
export interface SignalsOptions {
  readonly store: Pick<Store, "feedback" | "cursors">;
  /** ms since 1970. */
  readonly now: () => number;
  /** Shared with the gateway, which logs there what is predicted. */
  readonly dataDir: string;
  /** What server.yaml names. */
  readonly sources: SignalSources;
  /** Where tokens are named from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The key of request ids; read when the first feedback comes. */
  readonly requestIdKey: () => string;
  /** Told of what costs evidence but is no error of anyone who asks. */
  readonly warn: (message: string, facts?: Readonly<Record<string, unknown>>) => void;
}

/** A source that has not answered by then is broken this time, ms. */
const DEADLINE_MS = 3_000;
const PRUNE_EVERY_MS = 3_600_000;
/** Feedback and predictions are kept this long, ms. */
const KEEP_MS = 7 * 86_400_000;
/** A rollout that nobody asked about for so long is not watched any more, ms. */
const FORGET_MS = 120_000;
const MINUTE_MS = 60_000;

type Cursors = Readonly<Record<string, unknown>>;

/** How far the sources of one rollout were read, as this process knows. */
interface Known {
  /** Sequence number of the stored cursor that this goes on from. */
  readonly from: number;
  /** Moved on over what had nothing to say: that needs no confirmation. */
  readonly cursors: Cursors;
}

/** Every source of evidence other than the gateways' own counts. */
export class Signals implements FeedbackService {
  readonly #options: SignalsOptions;
  readonly #desk: FeedbackDesk;
  readonly #health: HealthSource;
  readonly #sources: readonly SignalSource[];
  readonly #known = new Map<string, Known>();
  readonly #askedAt = new Map<string, number>();
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(options: SignalsOptions) {
    this.#options = options;
    this.#desk = new FeedbackDesk({ ...options, keepMs: KEEP_MS });
    const { now, warn } = options;
    const store = options.store.feedback;
    const reader = new PredictionReader(join(options.dataDir, "predictions"));
    const { prometheus: servers, logs, health } = options.sources;
    this.#health = new HealthSource(health, now);
    this.#sources = [
      new FeedbackSource({ store, join: new LabelJoin({ store, reader, now, warn }), warn }),
      new PrometheusSource({ servers, env: options.env, now }),
      new LogsSource(logs, options.dataDir),
      this.#health,
    ];
  }

  /** Begins to forget what is too old, and what is not watched any more. */
  start(): void {
    this.#timers = [
      setInterval(() => this.#tidy(), PRUNE_EVERY_MS).unref(),
      setInterval(() => this.#forgetOthers(this.#options.now()), FORGET_MS).unref(),
    ];
    this.#tidy();
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const rollout of this.#askedAt.keys()) this.#forget(rollout);
  }

  /** Takes what callers know of predictions. */
  take(items: readonly FeedbackItem[]): Promise<FeedbackTaken> {
    return this.#desk.take(items);
  }

  /**
   * What all sources saw of the rollout since the last confirmed time. One that hangs or fails is
   * broken for its metrics and holds up nothing else beyond the deadline.
   * @throws `store.unavailable`.
   */
  async collect(watched: Watched, now: number): Promise<Collected> {
    this.#askedAt.set(watched.rollout, now);
    this.#forgetOthers(now);
    const known = await this.#position(watched.rollout);
    const seen = await Promise.all(
      this.#sources.map(async (source) => ({
        source,
        seen: await this.#ask(source, watched, { known, now }),
      })),
    );
    const signals = Object.fromEntries(
      seen.flatMap((each) => Object.entries(each.seen.signals)),
    ) as Record<string, Signal>;
    this.#known.set(watched.rollout, {
      from: known.from,
      cursors: cursorsOf(known, seen, ({ signals: given }) => Object.keys(given).length === 0),
    });
    const body = cursorsOf(known, seen, () => true);
    return {
      signals,
      confirm: async (nouns) => {
        for (const each of seen) await each.seen.confirm?.(nouns);
        await nouns.cursors.advance({
          watch: watched.rollout,
          from: known.from,
          body,
          at: now,
        });
      },
    };
  }

  /**
   * Of metrics whose source `server.yaml` does not name, why they hold a rollout; of logs none of whose
   * files is there, that they see nothing.
   */
  unknownSources(metrics: readonly Metric[]): readonly string[] {
    return metrics.flatMap((metric) => {
      const { kind, name } = metric;
      if (kind !== "prometheus" && kind !== "logs" && kind !== "health") return [];
      if (Object.hasOwn(this.#options.sources[kind], metric.source))
        return kind === "logs" ? this.#absentLogs(name, metric.source) : [];
      return [
        `${name} cannot be read: server.yaml names no source "${metric.source}" under ${kind}; a rollout is held by that`,
      ];
    });
  }

  /** Files may begin later, but a path that is mistyped would protect nobody. */
  #absentLogs(metric: string, source: string): readonly string[] {
    const files = this.#options.sources.logs[source]?.files ?? null;
    // A whole tree would take too long to look through.
    if (files === null || files.some((path) => path.includes("**"))) return [];
    if (globSync([...files]).length > 0) return [];
    return [
      `${metric} has nothing to read now: no file is at ${files.join(", ")}; until one is, it watches nothing`,
    ];
  }

  /** How the checks of a watched candidate stand now, whether or not they were collected. */
  healthState(watched: Watched): readonly HealthState[] {
    if (!this.#askedAt.has(watched.rollout))
      this.#askedAt.set(watched.rollout, this.#options.now());
    return this.#health.states(watched);
  }

  /** The candidate's last error lines that were confirmed, redacted, at most 20. */
  async recentLogLines({ rollout }: Pick<Watched, "rollout">): Promise<readonly string[]> {
    const stored = await this.#options.store.cursors.get(rollout);
    return recentLinesIn((stored?.body ?? {}) as Cursors);
  }

  /** The last lines that the process of a managed revision wrote, redacted, at most 20. */
  lastOutput(of: {
    readonly endpoint: string;
    readonly revision: number;
  }): Promise<readonly string[]> {
    return lastLinesOf(outputOf(this.#options.dataDir, of));
  }

  /**
   * Where to go on from: what is stored decides, so that a confirmation that was rolled back never
   * was, and one that this process did not hear of holds.
   */
  async #position(rollout: string): Promise<Known> {
    const stored = await this.#options.store.cursors.get(rollout);
    const from = stored?.sequence ?? 0;
    const known = this.#known.get(rollout);
    if (known?.from === from) return known;
    return { from, cursors: (stored?.body ?? {}) as Cursors };
  }

  async #ask(
    source: SignalSource,
    watched: Watched,
    { known, now }: { readonly known: Known; readonly now: number },
  ): Promise<Seen> {
    const cursor = known.cursors[source.name] ?? null;
    const names = watched.metrics
      .filter((metric) => source.kinds.has(metric.kind))
      .map((metric) => metric.name);
    if (names.length === 0) return { signals: {}, cursor };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Seen>((resolve) => {
      const why = `${source.name} did not answer within ${DEADLINE_MS} ms`;
      timer = setTimeout(() => resolve(allBroken(names, cursor, why)), DEADLINE_MS);
    });
    try {
      const seen = await Promise.race([source.collect(watched, cursor, now), late]);
      // Of one that was broken, that it was read is news: it is not waited for until it has more.
      const told = Object.entries(seen.signals).filter(
        ([name, signal]) => saysSomething(signal) || watched.broken.includes(name),
      );
      return { ...seen, signals: Object.fromEntries(told) };
    } catch (error) {
      const { code, message } = LastgoodError.from(error);
      // The store is no source: without it nothing can be remembered, so nothing is given.
      if (code === "store.unavailable") throw error;
      this.#options.warn(`${source.name}: ${message}`, { endpoint: watched.endpoint });
      return allBroken(names, cursor, message);
    } finally {
      clearTimeout(timer);
    }
  }

  #forgetOthers(now: number): void {
    for (const [rollout, askedAt] of this.#askedAt)
      if (now - askedAt > FORGET_MS) this.#forget(rollout);
  }

  #forget(rollout: string): void {
    this.#askedAt.delete(rollout);
    this.#known.delete(rollout);
    for (const source of this.#sources) source.forget?.(rollout);
  }

  #tidy(): void {
    const before = this.#options.now() - KEEP_MS;
    const { feedback, cursors } = this.#options.store;
    Promise.all([feedback.prune(Math.floor(before / MINUTE_MS)), cursors.prune(before)]).catch(
      (error: unknown) => {
        this.#options.warn("old feedback could not be removed", { error: String(error) });
      },
    );
  }
}

function allBroken(names: readonly string[], cursor: unknown, why: string): Seen {
  return { signals: Object.fromEntries(names.map((name) => [name, brokenSignal(why)])), cursor };
}

/** The cursors of the sources that `moved` says yes to moved on, the others as they were. */
function cursorsOf(
  known: Known,
  asked: readonly { readonly source: SignalSource; readonly seen: Seen }[],
  moved: (seen: Seen) => boolean,
): Cursors {
  const next = asked.filter(({ seen }) => seen.cursor !== null && moved(seen));
  return {
    ...known.cursors,
    ...Object.fromEntries(next.map(({ source, seen }) => [source.name, seen.cursor])),
  };
}
