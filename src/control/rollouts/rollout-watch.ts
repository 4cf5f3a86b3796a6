import { randomUUID } from "node:crypto";

import {
  assess,
  observe,
  planAnalysis,
  startAnalysis,
  type AnalysisPlan,
  type AnalysisState,
  type Assessment,
  type Interval,
} from "../../core/analysis/index.ts";
import {
  armsOf,
  bakeLeft,
  evidenceIdOf,
  stepsOf,
  type Assessed,
  type EndpointState,
  type Progress,
  type Rollout,
} from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { StoredEvidence } from "../../storage/store/index.ts";
import type { EndpointDeps } from "./deps.ts";
import {
  baselineId,
  IntervalReader,
  lastSignals,
  planIn,
  planRecord,
  signalsRecord,
} from "./evidence-record.ts";

/** What was seen at rest may be this old to be compared with, ms. */
export const BASELINE_MS = 2 * 3_600_000;
const MAX_HORIZON = 1_000_000;
const NO_TARGETS: TargetChoice = { targets: [], passedOver: [] };

/** A rollout under watch, as far as its evidence was read. */
interface Watching {
  readonly id: string;
  readonly rollout: Rollout;
  readonly plan: AnalysisPlan;
  readonly reader: IntervalReader;
  analysis: AnalysisState;
  position: number;
  progress: Progress;
  lastEvidenceAt: number;
  signals: { sequence: number; at: number };
}

/** What a look at a rollout found. */
export interface Look {
  readonly event: Assessed;
  readonly assessment: Assessment;
}

/** The rollout whose arms are compared now, or null. */
export function watchedRollout({ activity }: EndpointState): Rollout | null {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return null;
  return activity.rollout.from === null ? null : activity.rollout;
}

/**
 * Watches one endpoint's rollout: reads its stored evidence in order, folds it through the pure
 * analysis, and says what that means now. After a crash the same records give the same verdicts.
 */
export class RolloutWatch {
  readonly #deps: EndpointDeps;
  readonly #chooseNow: (state: EndpointState) => Promise<TargetChoice>;
  #watching: Watching | null = null;
  #lookedAt = -Infinity;
  #assessment: Assessment | null = null;

  constructor(deps: EndpointDeps, chooseNow: (state: EndpointState) => Promise<TargetChoice>) {
    this.#deps = deps;
    this.#chooseNow = chooseNow;
  }

  /** The newest verdict on the rollout, or null while there is none. */
  assessmentOf(rollout: Rollout | null): Assessment | null {
    return rollout !== null && this.#watching?.id === evidenceIdOf(rollout)
      ? this.#assessment
      : null;
  }

  /** Whether it is time to look again: once per interval of the policy. */
  isDue(state: EndpointState): boolean {
    const rollout = watchedRollout(state);
    if (rollout === null) return false;
    return this.#deps.clock.monotonic() - this.#lookedAt >= rollout.policy.analysis.flushMs;
  }

  /** Takes in what is new and says what it means; null where nothing is under watch. */
  async look(state: EndpointState): Promise<Look | null> {
    const rollout = watchedRollout(state);
    if (rollout === null) return null;
    this.#lookedAt = this.#deps.clock.monotonic();
    const watching = await this.#watch(state, rollout);
    await this.#collectSignals(state, watching);
    await this.#read(watching);
    const assessment = this.#assess(state, watching);
    this.#assessment = assessment;
    return { assessment, event: await this.#eventOf(state, watching, assessment) };
  }

  async #watch(state: EndpointState, rollout: Rollout): Promise<Watching> {
    const id = evidenceIdOf(rollout);
    if (this.#watching?.id === id) return this.#watching;
    const { candidate, from } = rollout;
    const plan = await this.#plan(state, rollout, id);
    this.#assessment = null;
    this.#watching = {
      id,
      rollout,
      plan,
      reader: new IntervalReader({ candidate, stable: from }),
      analysis: startAnalysis(plan),
      position: 0,
      progress: { candidate: 0, pairs: 0 },
      // No evidence yet is silence from now on, not since ever.
      lastEvidenceAt: this.#deps.clock.now(),
      signals: { sequence: -1, at: rollout.startedAt },
    };
    return this.#watching;
  }

  /** The plan is frozen before the first verdict: what a crash left of it is taken up again. */
  async #plan(state: EndpointState, rollout: Rollout, id: string): Promise<AnalysisPlan> {
    const { store, clock } = this.#deps;
    const endpoint = state.identity.name;
    const stored = planIn(await store.evidence.list(id, { limit: 100 }));
    if (stored !== null) return stored;
    const made = planAnalysis({
      analysis: rollout.policy.analysis,
      horizonIntervals: horizonOf(rollout),
      baseline: await this.#baseline(endpoint, rollout),
      comparison: comparisonOf(rollout),
    });
    await store.evidence.append([planRecord({ id, endpoint }, made, clock.now())]);
    // As JSON has it, so that it is the same before and after a restart.
    return JSON.parse(JSON.stringify(made)) as AnalysisPlan;
  }

  /** What the stable revision did at rest, shortly before. */
  async #baseline(endpoint: string, rollout: Rollout): Promise<readonly Interval[]> {
    const { from, startedAt } = rollout;
    if (from === null) return [];
    const reader = new IntervalReader({ candidate: 0, stable: from });
    const intervals: Interval[] = [];
    for (const record of await this.#all(baselineId(endpoint, from), 0)) {
      const interval = reader.next(record);
      if (interval === null || interval.to > startedAt) continue;
      if (startedAt - interval.to <= BASELINE_MS) intervals.push(interval);
    }
    return intervals;
  }

  async #all(watch: string, after: number): Promise<readonly StoredEvidence[]> {
    const records: StoredEvidence[] = [];
    for (;;) {
      const page = await this.#deps.store.evidence.list(watch, {
        after: records.at(-1)?.position ?? after,
      });
      records.push(...page);
      if (page.length < 1_000) return records;
    }
  }

  async #read(watching: Watching): Promise<void> {
    const records = await this.#all(watching.id, watching.position);
    for (const record of records) {
      const interval = watching.reader.next(record);
      watching.position = record.position;
      if (interval === null) continue;
      watching.analysis = observe(watching.analysis, interval);
      watching.progress = {
        candidate: watching.progress.candidate + interval.candidate.requests,
        pairs: watching.progress.pairs + interval.pairs.pairs,
      };
      watching.lastEvidenceAt = Math.max(watching.lastEvidenceAt, interval.to);
    }
    const sequence = Math.max(watching.signals.sequence, lastSignals(records));
    watching.signals = { ...watching.signals, sequence };
  }

  async #collectSignals(state: EndpointState, watching: Watching): Promise<void> {
    const { signals, store, clock } = this.#deps;
    const { rollout } = watching;
    const now = clock.now();
    const version = (number: number | null): string | null => {
      const revision = state.revisions.find((each) => each.revision === number);
      return revision === undefined ? null : versionLabel(revision.version);
    };
    const watched = {
      endpoint: state.identity.name,
      rollout: watching.id,
      candidate: rollout.candidate,
      stable: rollout.from,
      candidateVersion: version(rollout.candidate) ?? "",
      stableVersion: version(rollout.from),
      metrics: rollout.policy.analysis.metrics,
      since: rollout.startedAt,
    };
    const collected = await signals.collect(watched, now);
    if (Object.keys(collected.signals).length === 0) return;
    const sequence = watching.signals.sequence + 1;
    const from = watching.signals.at;
    const about = { id: watching.id, endpoint: watched.endpoint };
    const record = signalsRecord(about, { sequence, from, to: now, signals: collected.signals });
    // What was seen is stored and counted as given, or neither: a crash repeats or loses nothing.
    await store.transaction(async (nouns) => {
      await nouns.evidence.append([record]);
      await collected.confirm(nouns);
    });
    watching.signals = { sequence, at: now };
  }

  #assess(state: EndpointState, watching: Watching): Assessment {
    const { activity } = state;
    const { rollout } = watching;
    const share = armsOf(state).find((arm) => arm.revision === rollout.candidate)?.weight ?? 0;
    return assess(watching.analysis, {
      now: this.#deps.clock.now(),
      lastEvidenceAt: watching.lastEvidenceAt,
      phase: activity.phase === "Baking" ? "bake" : "canary",
      plannedRequestsLeft: plannedRequestsLeft(state, watching, this.#deps.clock.now()),
      candidateShare: share / 100,
    });
  }

  async #eventOf(
    state: EndpointState,
    { rollout, progress }: Watching,
    assessment: Assessment,
  ): Promise<Assessed> {
    const { decision, why, blamed, source } = assessment;
    const mayGoBack =
      decision === "rollback" || rollout.policy.analysis.inconclusive.action === "rollback";
    return {
      type: "assessed",
      rolloutId: rollout.id,
      rollbackId: randomUUID(),
      verdict: { decision, why, blamed, source },
      evidence: decision === "rollback" ? { id: evidenceIdOf(rollout), assessment } : null,
      trigger: triggerOf(assessment),
      progress,
      choice: mayGoBack ? await this.#chooseNow(state) : NO_TARGETS,
    };
  }
}

/** How many intervals the whole watch is planned to take. */
function horizonOf(rollout: Rollout): number {
  const stepsMs = stepsOf(rollout).reduce((sum, step) => {
    if (step.kind === "pause") return sum + (step.forMs ?? 0);
    return sum + step.until.timeMs;
  }, 0);
  const intervals = Math.ceil((stepsMs + rollout.bakeMs) / rollout.policy.analysis.flushMs);
  return Math.min(MAX_HORIZON, Math.max(1, intervals));
}

function comparisonOf(rollout: Rollout): "live" | "paired" | "absolute" {
  switch (rollout.strategy) {
    case "canary":
      return "live";
    case "blueGreen":
      return rollout.policy.holdback > 0 ? "paired" : "absolute";
    case "recreate":
      return "absolute";
  }
}

/** Requests that the rest of the watch will bring, going by those that came so far, or null. */
function plannedRequestsLeft(
  { activity }: EndpointState,
  { rollout, progress }: Watching,
  now: number,
): number | null {
  const elapsed = now - rollout.startedAt;
  if (elapsed <= 0 || progress.candidate === 0) return null;
  const left = activity.phase === "Baking" ? (bakeLeft(activity, now) ?? 0) : rollout.bakeMs;
  return Math.round((progress.candidate / elapsed) * left);
}

/** What a rollback by this verdict is said to be triggered by. */
function triggerOf({ metrics, blamed }: Assessment): Assessed["trigger"] {
  const kinds = new Set(
    metrics.filter(({ name }) => blamed.includes(name)).map(({ kind }) => kind),
  );
  if (kinds.has("health")) return "health";
  return kinds.size === 1 && kinds.has("logs") ? "logs" : "analysis";
}
