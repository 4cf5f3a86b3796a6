import type { ProtocolAnswer } from "../protocol/index.ts";

/** One request as the front that took it in sees it, and the way its answer leaves. */
export interface Exchange {
  /** A header (over gRPC: metadata) by its lower-case name; null where there is none. */
  header(name: string): string | null;
  /** Nobody waits for the answer any more. */
  readonly isGone: boolean;
  /** Writes the whole answer. A caller who has gone gets nothing. */
  write(answer: ProtocolAnswer, headers?: Readonly<Record<string, string>>): void;
}
