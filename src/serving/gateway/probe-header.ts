import { timingSafeEqual } from "node:crypto";

/** Marks the gateway's own probes, so that they are counted apart. */
export const PROBE_HEADER = "x-lastgood-probe";

/** The header of a probe for one revision. */
export function probeHeader(token: string, revision: number): string {
  return `${token}.${revision}`;
}

/** The revision a probe is for; null for a header that was not made here. */
export function parseProbeHeader(value: string, token: string): number | null {
  const cut = value.lastIndexOf(".");
  const given = Buffer.from(value.slice(0, Math.max(0, cut)));
  const own = Buffer.from(token);
  if (given.length !== own.length || !timingSafeEqual(given, own)) return null;
  const revision = Number(value.slice(cut + 1));
  return Number.isSafeInteger(revision) ? revision : null;
}
