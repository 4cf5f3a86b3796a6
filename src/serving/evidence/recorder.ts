import { hash } from "node:crypto";

import { MOST_PAIRS_SEEN } from "../../core/analysis/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { Watch } from "../../link/route/index.ts";
import type { RunFrame } from "../runtime/index.ts";
import { USUAL_TERMS } from "./disagreement.ts";
import { InputBinner, MOST_SAMPLED } from "./inputs.ts";
import { KeptInputs, type Given } from "./kept-inputs.ts";
import { LossBook } from "./loss.ts";
import { Labels, type Prediction } from "./prediction.ts";
import { companyOf } from "./run.ts";
import {
  isEmpty,
  LAST_TICK,
  type ArmTally,
  type EvidenceReport,
  type Through,
  type WindowTally,
} from "./tally.ts";
import { RequestTicket, type TicketArm } from "./ticket.ts";
import { EvidenceWindow } from "./window.ts";

/** A longer sticky key is told by its hash. */
const LONGEST_KEY = 64;
/** What was open when a watch ended is looked at this often, ms. */
const LEFT_OVER_MS = 250;

/** What both arms of a rollout have in common in one worker. */
class RolloutMemory {
  readonly labels = new Labels<Prediction>();
  readonly keptInputs = new KeptInputs();
  readonly #losses = new Map<string, LossBook>();

  /** Assigned and mirrored requests are two tests: a loss is an event in each. */
  losses(revision: number, of: "assigned" | "mirror"): LossBook {
    const key = `${of} ${revision}`;
    let losses = this.#losses.get(key);
    if (losses === undefined) {
      losses = new LossBook();
      this.#losses.set(key, losses);
    }
    return losses;
  }
}

/** One revision of a rollout under watch, under one split, in one worker. */
export class ArmRecorder implements TicketArm {
  readonly deadlineMs: number;
  readonly isCandidate: boolean;
  readonly company: TicketArm["company"];
  readonly losses: LossBook;
  readonly labels: Labels<Prediction>;
  readonly mirror: TicketArm["mirror"];
  readonly keptInputs: KeptInputs | null;
  readonly now: () => number;
  readonly #place: number;
  readonly #window: (at: number) => EvidenceWindow;
  readonly #binner: InputBinner | null;
  #lastFrame: RunFrame | null = null;

  constructor(
    parts: Omit<TicketArm, "isNewFrame"> & {
      readonly place: number;
      readonly window: (at: number) => EvidenceWindow;
      readonly binner: InputBinner | null;
    },
  ) {
    this.deadlineMs = parts.deadlineMs;
    this.isCandidate = parts.isCandidate;
    this.company = parts.company;
    this.losses = parts.losses;
    this.labels = parts.labels;
    this.mirror = parts.mirror;
    this.keptInputs = parts.keptInputs;
    this.now = parts.now;
    this.#place = parts.place;
    this.#window = parts.window;
    this.#binner = parts.binner;
  }

  /** A request of the split keeps the contract and goes to this revision. `at`: its admission. */
  admit(at: number, key: string | null, given: Given): RequestTicket {
    const window = this.#window(at);
    const tally = this.#tally(window);
    const request = {
      at,
      key: key === null ? null : shortened(key),
      given: this.keptInputs === null ? null : given,
    };
    if (this.#binner !== null && typeof given !== "function")
      sample(this.#binner, { window, tally, key: request.key }, given);
    return new RequestTicket(this, { window, tally }, request);
  }

  /** A request of the split breaks the contract: its caller's mistake. */
  violated(at: number): void {
    this.#tally(this.#window(at)).violations += 1;
  }

  /** A request of the split was let go before it was admitted: too many are waiting. */
  shed(at: number): void {
    this.#tally(this.#window(at)).shed += 1;
  }

  /** Requests of one frame end one right after the other. */
  isNewFrame(frame: RunFrame | undefined): boolean {
    if (frame === undefined) return true;
    if (frame === this.#lastFrame) return false;
    this.#lastFrame = frame;
    return true;
  }

  #tally(window: EvidenceWindow): ArmTally {
    const tally = window.tally.arms[this.#place];
    if (tally === undefined) throw new Error("a window lacks an arm of its rollout");
    return tally;
  }
}

/** Records what becomes of one endpoint's requests in one worker, while a rollout is under watch. */
export class EvidenceRecorder {
  readonly #endpoint: string;
  readonly #now: () => number;
  readonly #mostSeen: number;
  /** Oldest first; the last one may still be admitted to. */
  readonly #windows: EvidenceWindow[] = [];
  readonly #arms = new Map<number, ArmRecorder>();
  #current: EvidenceWindow | null = null;
  #interval = -1;
  #watch: Watch | null = null;
  #binner: InputBinner | null = null;
  #memory = new RolloutMemory();

  /** `now` is CLOCK_MONOTONIC, ms; `workers`: how many count this endpoint's requests. */
  constructor(endpoint: string, now: () => number, workers = 1) {
    this.#endpoint = endpoint;
    this.#now = now;
    this.#mostSeen = MOST_PAIRS_SEEN / workers;
  }

  /** The route has changed; within an interval split and watch are the same. */
  route(interval: number, watch: Watch | null): void {
    if (interval === this.#interval) return;
    if (watch?.rollout !== this.#watch?.rollout) this.#memory = new RolloutMemory();
    this.#interval = interval;
    this.#watch = watch;
    const features = watch?.inputs ?? [];
    this.#binner = features.length === 0 ? null : new InputBinner(features);
    this.#current = null;
    this.#arms.clear();
  }

  /** The recorder of one of the two revisions under watch, or null. */
  arm(revision: number): ArmRecorder | null {
    const watch = this.#watch;
    const place = watch === null ? -1 : revisionsOf(watch).indexOf(revision);
    if (watch === null || place < 0) return null;
    let arm = this.#arms.get(revision);
    if (arm === undefined) {
      arm = new ArmRecorder({
        deadlineMs: watch.deadlineMs,
        isCandidate: revision === watch.candidate,
        company: companyOf(watch),
        losses: this.#memory.losses(revision, "assigned"),
        mirror: this.#mirrorOf(watch, revision),
        labels: this.#memory.labels,
        keptInputs: watch.errorInputs === undefined ? null : this.#memory.keptInputs,
        now: this.#now,
        place,
        window: (at) => this.#windowAt(at),
        binner: this.#binner,
      });
      this.#arms.set(revision, arm);
    }
    return arm;
  }

  /** ms until a window is over; null once nothing is watched and nothing is open. */
  get nextFlushMs(): number | null {
    const flushMs = this.#watch?.flushMs;
    if (flushMs !== undefined) return flushMs - (this.#now() % flushMs);
    return this.#windows.length > 0 ? LEFT_OVER_MS : null;
  }

  /**
   * The windows that are closed by now, and how far that goes. With `final` nothing will be admitted
   * any more, and what is still open is forgotten.
   */
  flush(final = false): EvidenceReport {
    const now = this.#now();
    const tick = this.#watch === null ? 0 : Math.floor(now / this.#watch.flushMs);
    const windows: WindowTally[] = [];
    let closed = 0;
    for (const window of this.#windows) {
      if (!final && !this.#isOver(window, tick)) break;
      window.expire(now);
      if (final) window.abandon();
      if (window.isOpen) break;
      closed += 1;
      if (!isEmpty(window.tally)) windows.push(window.tally);
    }
    this.#windows.splice(0, closed);
    return {
      endpoint: this.#endpoint,
      windows,
      through: this.#through(this.#windows[0], tick, final),
    };
  }

  #mirrorOf(watch: Watch, revision: number): TicketArm["mirror"] {
    const { mirror } = watch;
    if (mirror === null || mirror.of !== revision) return null;
    const isOther = mirror.to !== revision && revisionsOf(watch).includes(mirror.to);
    if (!isOther) return null;
    return {
      to: mirror.to,
      losses: this.#memory.losses(mirror.to, "mirror"),
      disagreement: watch.disagreement ?? USUAL_TERMS,
    };
  }

  #isOver({ tally }: EvidenceWindow, tick: number): boolean {
    return tally.interval < this.#interval || tally.tick < tick;
  }

  #through(first: EvidenceWindow | undefined, tick: number, final: boolean): Through {
    if (first !== undefined) return { interval: first.tally.interval, tick: first.tally.tick - 1 };
    return { interval: this.#interval, tick: final ? LAST_TICK : tick - 1 };
  }

  /** Of the next window, by the fullest that is open: where answers take long, the last has few pairs yet. */
  get #pairShare(): number {
    let most = this.#current?.pairsSent ?? 0;
    for (const { pairsSent } of this.#windows) most = Math.max(most, pairsSent);
    return this.#mostSeen / Math.max(this.#mostSeen, most);
  }

  #windowAt(at: number): EvidenceWindow {
    const watch = this.#watch;
    if (watch === null) throw new Error("a request is recorded although nothing is watched");
    const tick = Math.floor(at / watch.flushMs);
    if (this.#current?.tally.tick === tick) return this.#current;
    this.#current = new EvidenceWindow(this.#interval, tick, {
      revisions: revisionsOf(watch),
      pairShare: this.#pairShare,
    });
    this.#windows.push(this.#current);
    return this.#current;
  }
}

/**
 * Looks at the inputs of the first units of a window. Which ones does not depend on how they end: what
 * kills a version is an input like any other.
 */
function sample(
  binner: InputBinner,
  {
    window,
    tally,
    key,
  }: {
    readonly window: EvidenceWindow;
    readonly tally: ArmTally;
    readonly key: string | null;
  },
  inputs: readonly Tensor[],
): void {
  if (tally.sampled >= MOST_SAMPLED) return;
  if (key !== null) {
    if (window.sampledKeys.has(key)) return;
    window.sampledKeys.add(key);
  }
  if (tally.sampled === 0) tally.inputs = binner.empty();
  tally.sampled += 1;
  binner.add(tally.inputs, inputs);
}

/** Keys are kept until their window is told; a header may be long. */
function shortened(key: string): string {
  return key.length <= LONGEST_KEY ? key : hash("sha256", key, "base64url");
}

/** The revisions whose requests are counted, the candidate first. */
export function revisionsOf({ candidate, stable }: Watch): readonly number[] {
  return stable === null || stable === candidate ? [candidate] : [candidate, stable];
}
