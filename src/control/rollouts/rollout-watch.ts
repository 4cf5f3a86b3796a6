import { randomUUID } from "node:crypto";

import {
  assess,
  bakesAlone,
  comparisonUnder,
  observe,
  planAnalysis,
  startAnalysis,
  unreadMetrics,
  type AnalysisPlan,
  type AnalysisState,
  type Assessment,
  type AssessmentContext,
  type Comparison,
} from "../../core/analysis/index.ts";
import {
  armsOf,
  bakeLeft,
  evidenceIdOf,
  revisionOf,
  stepElapsed,
  stepsOf,
  type Assessed,
  type EndpointState,
  type Progress,
  type Rollout,
} from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import { versionLabel, type ReferenceSet } from "../../core/version/index.ts";
import type { StoredManifest } from "../../storage/store/index.ts";
import { allRecords, readBaseline } from "./baseline.ts";
import { askServers, comparisonIn } from "./comparison.ts";
import type { EndpointDeps } from "./deps.ts";
import {
  IntervalReader,
  lastSignals,
  planIn,
  planRecord,
  signalsRecord,
} from "./evidence-record.ts";
import { Hearing } from "./hearing.ts";
import { referenceOf } from "./input-reference.ts";

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
  fallback: number;
  fallbackFailed: number;
  lastEvidenceAt: number;
  readonly hearing: Hearing;
  signals: { sequence: number; at: number };
}

/** What has come of a rollout's traffic so far. */
export interface Seen extends Progress {
  /** Failed by the candidate: answered by stable, and failed by it too. */
  readonly fallback: number;
  readonly fallbackFailed: number;
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

  /** What has come of the rollout's traffic, or null while nothing is known. */
  seenOf(rollout: Rollout | null): Seen | null {
    const watching = this.#watching;
    if (rollout === null || watching?.id !== evidenceIdOf(rollout)) return null;
    const { progress, fallback, fallbackFailed } = watching;
    return { ...progress, fallback, fallbackFailed };
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
    // What came before a crash tells when each split began.
    if (watching.position === 0) await this.#read(watching);
    await this.#collectSignals(state, watching);
    await this.#read(watching);
    const context = this.#context(state, watching);
    const assessment = assess(watching.analysis, context);
    this.#assessment = assessment;
    return { assessment, event: await this.#eventOf(state, watching, assessment, context) };
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
      fallback: 0,
      fallbackFailed: 0,
      // No evidence yet is silence from now on, not since ever.
      lastEvidenceAt: this.#deps.clock.now(),
      hearing: new Hearing({
        afterMs: rollout.policy.analysis.noData.afterMs,
        flushMs: rollout.policy.analysis.flushMs,
      }),
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
    const comparison = await this.#comparison(state, rollout);
    const { policy, bakeMs } = rollout;
    const made = planAnalysis({
      analysis: policy.analysis,
      horizonIntervals: horizonOf(rollout),
      baseline:
        rollout.from === null
          ? []
          : await readBaseline(store.evidence, endpoint, {
              revision: rollout.from,
              before: rollout.startedAt,
            }),
      comparison,
      alone: bakesAlone({ comparison, bakeMs, holdback: policy.holdback }),
      servers: askServers(state, rollout),
      reference: referenceOf(rollout, {
        candidate: await this.#referenceSet(state, rollout.candidate),
        stable: await this.#referenceSet(state, rollout.from),
      }),
    });
    await store.evidence.append([planRecord({ id, endpoint }, made, clock.now())]);
    // As JSON has it, so that it is the same before and after a restart.
    return JSON.parse(JSON.stringify(made)) as AnalysisPlan;
  }

  async #comparison(state: EndpointState, rollout: Rollout): Promise<Comparison> {
    if (rollout.from === null) return comparisonUnder(rollout.policy);
    const endpoint = state.identity.name;
    const stable = this.#deps.gateways.revisionState({ endpoint, revision: rollout.from });
    const [own, stables] = [
      await this.#manifest(state, rollout.candidate),
      await this.#manifest(state, rollout.from),
    ];
    return comparisonIn(rollout.policy, {
      inputs: [own?.signature.inputs, stables?.signature.inputs],
      takesCopies: stable?.takesCopies !== false,
    });
  }

  async #referenceSet(state: EndpointState, revision: number | null): Promise<ReferenceSet | null> {
    return (await this.#manifest(state, revision))?.reference ?? null;
  }

  async #manifest(state: EndpointState, revision: number | null): Promise<StoredManifest | null> {
    const served = revisionOf(state, revision);
    if (served === undefined) return null;
    const { model } = state.identity;
    return this.#deps.store.versions.manifest(model, served.version.sequence);
  }

  async #read(watching: Watching): Promise<void> {
    const records = await allRecords(this.#deps.store.evidence, watching.id, watching.position);
    for (const record of records) {
      const interval = watching.reader.next(record);
      watching.position = record.position;
      if (interval === null) continue;
      watching.analysis = observe(watching.analysis, interval);
      watching.progress = {
        candidate: watching.progress.candidate + interval.candidate.requests,
        pairs: watching.progress.pairs + interval.pairs.pairs,
      };
      watching.fallback += interval.candidate.fallback;
      watching.fallbackFailed += interval.candidate.fallbackFailed;
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
      splits: watching.reader.splits,
      broken: unreadMetrics(watching.analysis),
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

  #context(state: EndpointState, watching: Watching): AssessmentContext {
    const { activity } = state;
    const { rollout } = watching;
    const share = armsOf(state).find((arm) => arm.revision === rollout.candidate)?.weight ?? 0;
    const now = this.#deps.clock.now();
    const isServed = this.#deps.gateways.connected().length > 0;
    return {
      now,
      lastEvidenceAt: watching.lastEvidenceAt,
      listeningSince: watching.hearing.since(now, isServed),
      phase: activity.phase === "Baking" ? "bake" : "canary",
      plannedRequestsLeft: plannedRequestsLeft(state, watching, now),
      candidateShare: share / 100,
    };
  }

  async #eventOf(
    state: EndpointState,
    { rollout, progress, position, analysis }: Watching,
    assessment: Assessment,
    context: AssessmentContext,
  ): Promise<Assessed> {
    const { decision, why, blamed, source } = assessment;
    const mayGoBack =
      decision === "rollback" || rollout.policy.analysis.inconclusive.action === "rollback";
    return {
      type: "assessed",
      rolloutId: rollout.id,
      rollbackId: randomUUID(),
      verdict: { decision, why, blamed, source, proposed: analysis.proposal !== null },
      // With what it was asked and up to which record, so that anybody can compute it again.
      evidence: { id: evidenceIdOf(rollout), position, context, assessment },
      look: { id: evidenceIdOf(rollout), position, context },
      trigger: triggerOf(assessment),
      progress,
      seenUntil: seenUntil(context, rollout),
      choice: mayGoBack ? await this.#chooseNow(state) : NO_TARGETS,
    };
  }
}

/**
 * Up to when the verdict knows what came of requests, ms since 1970: a gateway that has just come tells
 * what it has kept first. Null where that may be on its way.
 */
function seenUntil({ now, listeningSince }: AssessmentContext, { policy }: Rollout): number | null {
  return now - (listeningSince ?? now) >= 2 * policy.analysis.flushMs ? now : null;
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

/** Time left of the step or the bake under way, ms; null: until a person says so. */
function timeLeft({ activity }: EndpointState, progress: Progress, now: number): number | null {
  if (activity.phase === "Baking") return bakeLeft(activity, now);
  if (activity.phase !== "Progressing" || activity.rollout.byHand) return null;
  const { rollout, step: at } = activity;
  const step = stepsOf(rollout)[at.index];
  if (step === undefined || step.kind === "pause") return step?.forMs ?? null;
  const left = Math.max(0, step.until.timeMs - stepElapsed(at, now));
  const elapsed = now - rollout.startedAt;
  if (step.kind === "mirror" || at.entered === null || progress.candidate === 0) return left;
  // Both, not either: a step that waits for requests takes as long as they do.
  const missing = step.until.requests - (progress.candidate - at.entered.candidate);
  return Math.max(left, (missing * elapsed) / progress.candidate);
}

/** Requests of both arms until its end, going by those that came so far; null: nobody knows. */
function plannedRequestsLeft(
  state: EndpointState,
  { rollout, progress, analysis }: Watching,
  now: number,
): number | null {
  const elapsed = now - rollout.startedAt;
  const { candidate, stable } = analysis.requests;
  const left = timeLeft(state, progress, now);
  if (elapsed <= 0 || candidate + stable === 0 || left === null) return null;
  return Math.round(((candidate + stable) / elapsed) * left);
}

/** What a rollback by this verdict is said to be triggered by. */
function triggerOf({ metrics, blamed }: Assessment): Assessed["trigger"] {
  const kinds = new Set(
    metrics.filter(({ name }) => blamed.includes(name)).map(({ kind }) => kind),
  );
  if (kinds.has("health")) return "health";
  return kinds.size === 1 && kinds.has("logs") ? "logs" : "analysis";
}
