import type { LastgoodError } from "../../core/errors/index.ts";
import type { InferResult, RunFrame } from "../runtime/index.ts";
import type { DisagreementTerms } from "./disagreement.ts";
import type { Given, KeptInputs } from "./kept-inputs.ts";
import type { Death, LossBook } from "./loss.ts";
import { PairTicket, type PairOutcome } from "./pair.ts";
import { predictionOf, type Labels, type Prediction } from "./prediction.ts";
import { runOf, type companyOf } from "./run.ts";
import {
  addError,
  addRequest,
  addUnit,
  bump,
  latencySlot,
  OUTCOME,
  type ArmTally,
} from "./tally.ts";
import type { EvidenceWindow, Pending } from "./window.ts";

/** What the requests of one arm have in common. */
export interface TicketArm {
  readonly deadlineMs: number;
  readonly isCandidate: boolean;
  /** What times go by. */
  readonly company: ReturnType<typeof companyOf>;
  readonly losses: LossBook;
  readonly labels: Labels<Prediction>;
  /** The revision that a share of its requests is also sent to, and the losses of those. */
  readonly mirror: {
    readonly to: number;
    readonly losses: LossBook;
    readonly disagreement: DisagreementTerms;
  } | null;
  /** Where the inputs go that the candidate failed; null: nothing is kept of them. */
  readonly keptInputs: KeptInputs | null;
  /** CLOCK_MONOTONIC, ms. */
  readonly now: () => number;
  /** False for the further requests of one frame. */
  isNewFrame(frame: RunFrame | undefined): boolean;
}

/** How a request failed, beyond its error. */
export interface Failure {
  readonly requestId: string | null;
  /** Whether stable was asked as well, and answered it or failed it too; the failure counts all the same. */
  readonly fallback: "none" | "answered" | "failed";
}

const PLAIN: Failure = { requestId: null, fallback: "none" };

/**
 * One request that the split assigned, from its admission to its end. Whatever happens to it, it
 * counts once, in the window of its admission.
 */
export class RequestTicket implements Pending {
  place = -1;
  readonly deadlineAt: number;
  readonly #window: EvidenceWindow;
  readonly #tally: ArmTally;
  readonly #arm: TicketArm;
  readonly #admittedAt: number;
  readonly #key: string | null;
  #given: Given | null;
  #death: Death | null = null;
  #diedOf: string | null = null;
  #waited = false;
  /** What it failed of, and when; it has not ended while another revision is being asked. */
  #failing: { readonly error: LastgoodError; readonly at: number } | null = null;
  #outcome: PairOutcome | null = null;

  constructor(
    arm: TicketArm,
    place: { readonly window: EvidenceWindow; readonly tally: ArmTally },
    request: { readonly at: number; readonly key: string | null; readonly given: Given | null },
  ) {
    this.#arm = arm;
    this.#window = place.window;
    this.#tally = place.tally;
    this.#admittedAt = request.at;
    this.#key = request.key;
    this.#given = request.given;
    this.deadlineAt = request.at + arm.deadlineMs;
    place.window.add(this);
  }

  /** The version's process died with it. */
  died(death: Death, why: string): void {
    this.#death = death;
    this.#diedOf = why;
  }

  /** The version is not there, and it waits for it. */
  waits(): void {
    this.#waited = true;
  }

  /**
   * The version has failed it, and another one is being asked: `failed` says what came of that. The
   * time that takes is not this version's.
   */
  fails(error: LastgoodError): void {
    this.#failing = { error, at: this.#arm.now() };
  }

  /** The version answered. */
  answered(result: InferResult): void {
    if (!this.#window.end(this)) return;
    const now = this.#arm.now();
    if (this.#death !== null || now > this.deadlineAt) {
      // It was run again, and the version could take it.
      if (this.#death !== null) this.#given = null;
      this.#count(now, 0, { ...PLAIN, message: this.#lateMessage });
      return;
    }
    const isFirst = addRequest(this.#tally, OUTCOME.counted | OUTCOME.answered, this.#key);
    if (isFirst) this.#observe(result);
    this.#outcome = result;
  }

  /**
   * The version did not answer, or not as it promised. What the gateway alone did, shedding or
   * letting go of the version, is no evidence.
   */
  failed(error: LastgoodError, failure: Failure = PLAIN): void {
    if (this.#window.end(this)) this.#countFailure(error, failure);
  }

  #countFailure(error: LastgoodError, failure: Failure): void {
    const { code, message, details } = error;
    if (code === "overloaded" || details["unloaded"] === true) {
      this.#tally.shed += 1;
      return;
    }
    const now = this.#failing?.at ?? this.#arm.now();
    const isPlain = this.#death === null && now <= this.deadlineAt;
    if (details["rejected"] === true && isPlain) {
      addRequest(this.#tally, OUTCOME.counted | OUTCOME.rejected, this.#key);
      this.#outcome = "bad";
      return;
    }
    const invalid = details["invalid"] !== undefined ? OUTCOME.invalid : 0;
    this.#count(now, invalid, { ...failure, message, loss: lossOf(error) });
  }

  /** It is kept apart after all: assigned, and nothing more is known. */
  dropped(): void {
    if (this.#window.end(this)) this.#tally.shed += 1;
  }

  /**
   * The pair of this request and the same one at the other revision, or null where there is nothing
   * to compare: it has not ended as the version's doing, its window is closed, another one stands for
   * what it was lost with, or it was lost with its process, which it may have taken down. A sticky key
   * is one pair.
   */
  pair(compared: ReadonlySet<string>): PairTicket | null {
    const { mirror, isCandidate, labels, deadlineMs, now } = this.#arm;
    const { pairedKeys } = this.#window;
    if (mirror === null || this.#outcome === null) return null;
    if (this.#key !== null) {
      if (pairedKeys.has(this.#key)) return null;
      pairedKeys.add(this.#key);
    }
    return new PairTicket({
      window: this.#window,
      original: this.#outcome,
      isOriginalCandidate: isCandidate,
      mirrored: mirror.to,
      losses: mirror.losses,
      labels,
      compared,
      disagreement: mirror.disagreement,
      sentAt: now(),
      deadlineMs,
      given: this.#given,
      keptInputs: this.#arm.keptInputs,
      now,
    });
  }

  expire(now: number): void {
    if (!this.#window.end(this)) return;
    if (this.#failing === null) this.#count(now, 0, { ...PLAIN, message: this.#lateMessage });
    else this.#countFailure(this.#failing.error, PLAIN);
    // Its window closes with it: a pair would come too late.
    this.#outcome = null;
  }

  get #lateMessage(): string {
    return this.#diedOf ?? `not ended within ${this.#arm.deadlineMs} ms`;
  }

  #count(
    now: number,
    more: number,
    failure: Failure & { readonly message: string; readonly loss?: Loss },
  ): void {
    const isLate = now > this.deadlineAt;
    const outcome =
      OUTCOME.counted |
      OUTCOME.error |
      more |
      (isLate ? OUTCOME.late : 0) |
      fallbackOutcome(failure.fallback);
    const { loss = null } = failure;
    const isLost = this.#death !== null || loss !== null || (isLate && this.#waited);
    if (!isLost) {
      addRequest(this.#tally, outcome, this.#key);
      this.#outcome = "bad";
    } else if (!this.#charge(now, outcome, loss === "broken off")) return;
    // One for each incident, and what killed a process is never repeated.
    else if (this.#death === null && !isLate) this.#outcome = "bad";
    if (this.#arm.isCandidate)
      this.#noteError(failure, loss === "away" || (isLate && this.#waited));
  }

  /** What the version may never have got says nothing of what it cannot take. */
  #noteError({ message, requestId }: Failure & { readonly message: string }, away: boolean): void {
    const told = { revision: this.#tally.revision, message, count: 1, requestId, inputs: null };
    const error = addError(this.#window.tally.errors, told);
    if (error === null || (away && this.#death === null)) return;
    this.#arm.keptInputs?.add(error, { given: this.#given, requestId });
  }

  /** One incident is one event, whatever the keys of those it took; false where it is told already. */
  #charge(now: number, outcome: number, isBrokenOff: boolean): boolean {
    const lost = { admittedAt: this.#admittedAt, death: this.#death, isBrokenOff, now };
    const incident = this.#arm.losses.charge(lost);
    if (incident === null) {
      this.#tally.aborted += 1;
      return false;
    }
    const key = this.#key;
    // Broken off by itself it may be the caller's inputs again: a key fails once.
    if (isBrokenOff && this.#death === null && key !== null)
      this.#tally.incidents.push({ ...incident, unit: { key, outcome } });
    else {
      addUnit(this.#tally, outcome);
      this.#tally.incidents.push(incident);
    }
    return true;
  }

  #observe(result: InferResult): void {
    const { outputs, frame } = result;
    const prediction = predictionOf(outputs);
    if (prediction !== null) bump(this.#tally.outputs, this.#arm.labels.of(prediction));
    // Those who share a run share its time: it was seen once.
    if (!this.#arm.isNewFrame(frame)) return;
    const { company, isCandidate } = this.#arm;
    const own = isCandidate ? company.candidate : company.stable;
    bump(this.#tally.latency, latencySlot(runOf(result, own)));
  }
}

/** How a connection was lost: there was none or no answer yet, or the answer broke off. */
type Loss = "away" | "broken off" | null;

function lossOf({ code, details }: LastgoodError): Loss {
  if (code === "runtime.unavailable") return "away";
  return details["sent"] === true ? "broken off" : null;
}

function fallbackOutcome(fallback: Failure["fallback"]): number {
  switch (fallback) {
    case "none":
      return 0;
    case "answered":
      return OUTCOME.fallback;
    case "failed":
      return OUTCOME.fallbackFailed;
  }
}
