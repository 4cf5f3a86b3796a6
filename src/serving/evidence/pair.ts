import type { LastgoodError } from "../../core/errors/index.ts";
import type { InferResult } from "../runtime/index.ts";
import { disagree, type DisagreementTerms } from "./disagreement.ts";
import type { Death, LossBook } from "./loss.ts";
import { predictionOf, type Labels, type Prediction } from "./prediction.ts";
import { runAlone } from "./run.ts";
import { addPair, type AnswerSeen, type PairVerdict } from "./tally.ts";
import type { EvidenceWindow, Pending } from "./window.ts";

/** How a version did on one request: its answer, or that it failed. */
export type PairOutcome = InferResult | "bad";

/** What a pair is judged by. */
export interface PairTerms {
  readonly window: EvidenceWindow;
  /** How the revision did that the request was assigned to. */
  readonly original: PairOutcome;
  readonly isOriginalCandidate: boolean;
  /** The revision that the request was also sent to. */
  readonly mirrored: number;
  /** Losses of mirrored requests: those of assigned ones are counted in a test of their own. */
  readonly losses: LossBook;
  /** Of predictions, shared by both revisions. */
  readonly labels: Labels<Prediction>;
  /** Names of the outputs that were promised; what else a version gives is not compared. */
  readonly compared: ReadonlySet<string>;
  readonly disagreement: DisagreementTerms;
  readonly sentAt: number;
  readonly deadlineMs: number;
  readonly now: () => number;
}

/** One request that is answered by both revisions; counts in the window of the original's admission. */
export class PairTicket implements Pending {
  place = -1;
  readonly deadlineAt: number;
  readonly #terms: PairTerms;
  readonly #isSeen: boolean;
  #death: Death | null = null;

  constructor(terms: PairTerms) {
    this.#terms = terms;
    this.#isSeen = Math.random() < terms.window.pairShare;
    // From its own sending: what the original took is not held against it.
    this.deadlineAt = terms.sentAt + terms.deadlineMs;
    terms.window.add(this);
    terms.window.pairsSent += 1;
  }

  /** The process died with it. */
  died(death: Death): void {
    this.#death = death;
  }

  /** The other revision answered as well. */
  answered(result: InferResult): void {
    if (!this.#terms.window.end(this)) return;
    const isLate = this.#terms.now() > this.deadlineAt;
    this.#count(this.#verdict(isLate ? "bad" : result));
    if (!isLate && this.#isSeen) this.#see(result);
  }

  /** The other revision was not asked: it is too busy. */
  skipped(): void {
    const { window } = this.#terms;
    if (window.end(this)) window.tally.pairs.skipped += 1;
  }

  /**
   * The other revision did not answer. What says nothing of it is no pair: that it is too busy, is
   * being let go of, or is gone before the request's turn came.
   */
  failed(error: LastgoodError): void {
    const { window } = this.#terms;
    if (!window.end(this)) return;
    const { code, details } = error;
    const isOwn = code === "overloaded" || code === "internal" || details["unloaded"] === true;
    const isLost = this.#death !== null || code === "runtime.unavailable";
    if (isLost && details["unloaded"] !== true) this.#lost();
    else if (isOwn) window.tally.pairs.skipped += 1;
    else this.#count(this.#verdict("bad"));
  }

  expire(): void {
    if (this.#terms.window.end(this)) this.#count(this.#verdict("bad"));
  }

  /** One incident is one pair. */
  #lost(): void {
    const { window, losses, mirrored, sentAt, now } = this.#terms;
    const incident = losses.charge({ admittedAt: sentAt, death: this.#death, now: now() });
    if (incident === null) return;
    const counted = this.#verdict("bad");
    this.#count(counted);
    window.tally.pairIncidents.push({ ...incident, revision: mirrored, counted });
  }

  /** What both answered, side by side. */
  #see(mirrored: InferResult): void {
    const { window, original, isOriginalCandidate } = this.#terms;
    if (original === "bad") return;
    const [candidate, stable] = isOriginalCandidate ? [original, mirrored] : [mirrored, original];
    window.tally.pairsSeen.push({
      candidate: this.#seen(candidate),
      stable: this.#seen(stable),
    });
  }

  #seen(answer: InferResult): AnswerSeen {
    const prediction = predictionOf(answer.outputs);
    const label = prediction === null ? null : this.#terms.labels.of(prediction);
    return { run: runAlone(answer), label };
  }

  #count(verdict: PairVerdict): void {
    addPair(this.#terms.window.tally.pairs, verdict);
  }

  #verdict(mirrored: PairOutcome): PairVerdict {
    const { original, isOriginalCandidate, compared, disagreement } = this.#terms;
    const [candidate, stable] = isOriginalCandidate ? [original, mirrored] : [mirrored, original];
    if (candidate === "bad") return stable === "bad" ? "bothBad" : "onlyCandidateBad";
    if (stable === "bad") return "onlyStableBad";
    const promised = stable.outputs.filter((output) => compared.has(output.name));
    return disagree(promised, candidate.outputs, disagreement) ? "disagreed" : null;
  }
}
