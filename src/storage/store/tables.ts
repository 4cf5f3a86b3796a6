import type { VersionStatus } from "../../core/version/index.ts";

/** The tables as Kysely sees them; `migrations/` makes them. JSON is text. */
export interface Tables {
  meta: { key: string; value: string };
  models: { name: string; folded: string };
  versions: {
    model: string;
    sequence: number;
    name: string | null;
    digest: string;
    status: VersionStatus;
    status_reason: string | null;
    status_at: number;
    /** The manifest without what `samples` holds. */
    manifest: string;
    /** `{golden, inputExample, reference}`: read only when asked for. */
    samples: string;
  };
  tags: { model: string; sequence: number; key: string; value: string };
  aliases: { model: string; alias: string; sequence: number };
  endpoints: { name: string; model: string; state: string; revision_of_state: number };
  history: {
    endpoint: string;
    sequence: number;
    at: number;
    kind: string;
    actor: string;
    reason: string | null;
    data: string;
    previous: string | null;
    hash: string;
    once: string | null;
  };
  operations: { key: string; answer: string; at: number };
  feedback: {
    request_id: string;
    endpoint: string;
    revision: number;
    /** Of the prediction, since 1970. */
    minute: number;
    kind: "correct" | "label" | "score";
    value: string;
    prediction: string | null;
    counted: 0 | 1;
    at: number;
  };
  disagreements: { digest: string; why: string; at: number };
  cursors: { watch: string; sequence: number; body: string; at: number };
  evidence: {
    watch: string;
    position: number;
    source: string;
    sequence: number;
    endpoint: string;
    at: number;
    body: string;
  };
  counts: {
    endpoint: string;
    revision: number;
    arm: string;
    interval: number;
    gateway: string;
    incarnation: string;
    worker: number;
    requests: number;
    errors: number;
    rejected: number;
  };
}
