import type { FeedbackItem, FeedbackTaken } from "../../core/api/index.ts";
import { readRequestId } from "../../link/request-id/index.ts";
import type { FeedbackRecord, FeedbackStore } from "../../storage/store/index.ts";

/** What the desk needs. */
export interface FeedbackDeskOptions {
  readonly store: { readonly feedback: Pick<FeedbackStore, "put"> };
  readonly now: () => number;
  readonly requestIdKey: () => string;
  /** Feedback on older predictions is late, ms. */
  readonly keepMs: number;
}

const MINUTE_MS = 60_000;
/** So many are stored in one transaction: others wait for the store meanwhile. */
const AT_ONCE = 500;
const MOST_EXAMPLES = 100;

const APART = {
  targeted: "its caller chose the version, so it is compared with nothing",
  probe: "it was a probe of the server's own",
  fallback: "it was answered by stable for the candidate, so it is compared with nothing",
} as const;

type Judged =
  | { readonly as: "record"; readonly record: FeedbackRecord }
  | { readonly as: "late" }
  | { readonly as: "unknown"; readonly why: string };

/** Where feedback arrives: what is ours and in time is stored until it is counted. */
export class FeedbackDesk {
  readonly #options: FeedbackDeskOptions;
  #key: string | null = null;

  constructor(options: FeedbackDeskOptions) {
    this.#options = options;
  }

  /** @throws `store.unavailable`; what came before in the list is stored then. */
  async take(items: readonly FeedbackItem[]): Promise<FeedbackTaken> {
    const taken = { accepted: 0, duplicates: 0, late: 0, refused: 0 };
    const unknown: { requestId: string; why: string }[] = [];
    for (let from = 0; from < items.length; from += AT_ONCE) {
      const records: FeedbackRecord[] = [];
      for (const item of items.slice(from, from + AT_ONCE)) {
        const judged = this.#judge(item);
        if (judged.as === "record") records.push(judged.record);
        else if (judged.as === "late") taken.late += 1;
        else {
          taken.refused += 1;
          const { requestId } = item;
          if (unknown.length < MOST_EXAMPLES) unknown.push({ requestId, why: judged.why });
        }
      }
      if (records.length === 0) continue;
      const stored = await this.#options.store.feedback.put(records);
      taken.accepted += stored.taken;
      taken.duplicates += stored.counted;
    }
    return { ...taken, unknown };
  }

  #judge(item: FeedbackItem): Judged {
    const { now, keepMs, requestIdKey } = this.#options;
    this.#key ??= requestIdKey();
    const { id, why } = readRequestId(this.#key, item.requestId);
    if (id === null) return { as: "unknown", why };
    if (id.way !== "assigned") return { as: "unknown", why: APART[id.way] };
    const at = now();
    if (id.minute < Math.floor((at - keepMs) / MINUTE_MS)) return { as: "late" };
    const { endpoint, revision, minute } = id;
    const about = { requestId: item.requestId, endpoint, revision, minute, at };
    const { correct, label, score } = item;
    if (correct !== undefined)
      return { as: "record", record: { ...about, kind: "correct", value: correct } };
    if (score !== undefined)
      return { as: "record", record: { ...about, kind: "score", value: score } };
    return { as: "record", record: { ...about, kind: "label", value: label } };
  }
}
