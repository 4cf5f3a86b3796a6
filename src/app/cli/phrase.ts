import { formatDuration } from "../../core/time/index.ts";

/** How long ago a time was: `12 s ago`; `-` where there is none. */
export function ago(at: number | null, now: number = Date.now()): string {
  if (at === null) return "-";
  const ms = Math.max(0, now - at);
  return ms < 1_000 ? "now" : `${formatDuration(Math.round(ms / 1_000) * 1_000)} ago`;
}

/** A moment for people, in UTC: `2026-11-21 02:40:07Z`. */
export function moment(at: number): string {
  return new Date(at)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}

/** A size for people: `812 B`, `12.3 kB`, `4.5 MB`. */
export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  if (size < 1_000_000) return `${(size / 1_000).toFixed(1)} kB`;
  if (size < 1_000_000_000) return `${(size / 1_000_000).toFixed(1)} MB`;
  return `${(size / 1_000_000_000).toFixed(1)} GB`;
}

/** The start of a digest, enough to tell versions apart. */
export function shortDigest(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}

/** Milliseconds that were measured, or that they were not. */
export function measured(ms: number | null): string {
  return ms === null ? "not measured" : formatDuration(ms);
}

/** `1 request`, `2 requests`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Any value in one line: text as it is, the rest as JSON. */
export function oneLine(value: unknown): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A fraction for people: `4.1 %`; `-` where there is none. */
export function percentText(fraction: number | null): string {
  if (fraction === null) return "-";
  const value = fraction * 100;
  return `${Number(value.toPrecision(value >= 99 ? 3 : 2))} %`;
}

/** A whole number in groups of three: `20 000`. */
export function grouped(value: number): string {
  return Math.round(value)
    .toFixed(0)
    .replaceAll(/\B(?=(\d{3})+$)/g, " ");
}

/** What a managed server takes now: `pid 4711, 212.4 MB of memory`. */
export function serverText(server: {
  readonly pid: number | null;
  readonly memoryBytes: number | null;
}): string {
  const { pid, memoryBytes } = server;
  const memory = memoryBytes === null ? "memory unknown" : `${bytes(memoryBytes)} of memory`;
  return pid === null ? memory : `pid ${pid}, ${memory}`;
}
