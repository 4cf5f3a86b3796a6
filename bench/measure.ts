import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Ticks per second of /proc/<pid>/stat; 100 on every Linux platform that Node supports. */
const TICKS_PER_S = 100;

/** The quantile `q` (0 to 1) of the numbers, by nearest rank; NaN for none. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? NaN;
}

/** The middle of the numbers: the mean of the two middle ones where their count is even. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? NaN) + upper) / 2;
}

/** Fields of /proc/<pid>/stat behind the command's name, which may hold blanks. */
function statOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** CPU time that the processes (all their threads) have used so far, ms. */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statOf(pid);
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks * 1_000) / TICKS_PER_S;
}

/** CPU time of a process with that of its ended children, ms; 0 once it is gone. */
export function cpuWithChildrenMs(pid: number): number {
  try {
    const fields = statOf(pid);
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0);
    return (ticks * 1_000) / TICKS_PER_S;
  } catch {
    return 0;
  }
}

/** Resident memory of a process, MB. */
export function rssMb(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1] ?? NaN) / 1024;
}

/** Waits. */
export async function sleep(ms: number): Promise<void> {
  await pause(ms);
}

/** Slope of the least-squares line through the points, per unit of x. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, point) => sum + point.x, 0) / points.length;
  const meanY = points.reduce((sum, point) => sum + point.y, 0) / points.length;
  let over = 0;
  let under = 0;
  for (const { x, y } of points) {
    over += (x - meanX) * (y - meanY);
    under += (x - meanX) ** 2;
  }
  return over / under;
}

/** A rounded number that is still a number. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
