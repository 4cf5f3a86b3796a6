import { LastgoodError } from "../errors/index.ts";

const UNIT_MS = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
} as const;

/**
 * Milliseconds of a duration such as `30s`, `1h`, `1h30m` or `250ms`; `0` needs no unit. What
 * `formatDuration` writes (`1 h 5 min`) is read too.
 * @throws `input.invalid` for anything else, a negative one, or more than 366 days.
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  const parts = [...trimmed.matchAll(/(\d+(?:\.\d+)?) ?(ms|s|min|m|h|d) ?/gy)];
  const matched = parts.reduce((length, part) => length + part[0].length, 0);
  const total = parts.reduce(
    (sum, part) => sum + Number(part[1]) * UNIT_MS[part[2] as keyof typeof UNIT_MS],
    0,
  );
  if (parts.length === 0 || matched !== trimmed.length || total > 366 * UNIT_MS.d) {
    throw new LastgoodError("input.invalid", `"${text}" is not a duration`, {
      hint: "accepted are numbers with a unit: 250ms, 30s, 10m, 1h, 1h30m, 2d",
    });
  }
  return total;
}

/** A duration for people: `0 ms`, `12 ms`, `4.2 s`, `10 min`, `1 h 5 min`, `2 d`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} d`;
}
