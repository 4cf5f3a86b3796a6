import type { Evidence } from "../../link/count/index.ts";
import { areOfOneSplit, joinDrafts, type EvidenceDraft } from "./merge.ts";

/** Records kept one by one for a control plane that is away; beyond it neighbours are joined. */
const MOST_WAITING = 1_000;
/** Records sent at a time. */
const BATCH = 100;

/**
 * One endpoint's records until they are acknowledged. A record gets its number when it is first
 * sent and is never changed from then on: what may have arrived is not joined with anything.
 */
export class EvidenceOutbox {
  #waiting: EvidenceDraft[] = [];
  #sent: Evidence[] = [];
  #sequence = 0;

  /** Records that are not acknowledged yet. */
  get size(): number {
    return this.#waiting.length + this.#sent.length;
  }

  add(drafts: readonly EvidenceDraft[]): void {
    this.#waiting.push(...drafts);
    if (this.#waiting.length > MOST_WAITING) this.#waiting = joinNeighbours(this.#waiting);
  }

  /** What is to be sent now: the same again until it is acknowledged. */
  batch(): readonly Evidence[] {
    if (this.#sent.length === 0) {
      this.#sent = this.#waiting
        .splice(0, BATCH)
        .map((draft) => ({ ...draft, sequence: this.#sequence++ }));
    }
    return this.#sent;
  }

  /** Everything up to this number is stored there. */
  acknowledge(sequence: number): void {
    this.#sent = this.#sent.filter((record) => record.sequence > sequence);
  }
}

function joinNeighbours(drafts: readonly EvidenceDraft[]): EvidenceDraft[] {
  const joined: EvidenceDraft[] = [];
  let left: EvidenceDraft | null = null;
  for (const draft of drafts) {
    if (left === null) left = draft;
    else if (areOfOneSplit(left, draft)) {
      joined.push(joinDrafts(left, draft));
      left = null;
    } else {
      joined.push(left);
      left = draft;
    }
  }
  if (left !== null) joined.push(left);
  return joined;
}
