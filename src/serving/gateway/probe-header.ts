import { timingSafeEqual } from "node:crypto";

/** Marks the gateway's own probes, so that they are counted apart. */
export const PROBE_HEADER = "x-lastgood-probe";

/** What a probe asks for. */
export interface ProbeFor {
  readonly revision: number;
  /** Whether it asks the revision itself, whatever the split sends callers to. */
  readonly apart: boolean;
}

const APART = "!";

/** The header of a probe for one revision. */
export function probeHeader(token: string, { revision, apart }: ProbeFor): string {
  return `${token}.${revision}${apart ? APART : ""}`;
}

/** What a probe is for; null for a header that was not made here. */
export function parseProbeHeader(value: string, token: string): ProbeFor | null {
  const cut = value.lastIndexOf(".");
  const given = Buffer.from(value.slice(0, Math.max(0, cut)));
  const own = Buffer.from(token);
  if (given.length !== own.length || !timingSafeEqual(given, own)) return null;
  const apart = value.endsWith(APART);
  const revision = Number(value.slice(cut + 1, apart ? -1 : undefined));
  return Number.isSafeInteger(revision) ? { revision, apart } : null;
}
