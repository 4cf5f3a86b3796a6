import type { Beside } from "../../src/serving/runtime/index.ts";
import { CANDIDATE, STABLE } from "./evidence-stage.ts";

/**
 * `queue`: each server takes one request after the other, `pool`: four. `shared`: all at once, each the
 * slower. `machine`: both servers have one processor between them. `one`: both versions have one queue.
 */
export type Kind = "queue" | "pool" | "shared" | "machine" | "one";

/** How hard a request is, of a mean of 1: nearly the same, anything, or one of 100 twenty times as much. */
const WORK = {
  even: (random: () => number): number => 0.7 + 0.6 * random(),
  any: (random: () => number): number => -Math.log(1 - random()),
  uneven: (random: () => number): number => (random() < 0.01 ? 20 : 1) / 1.19,
} as const;

/** What a server made of a request, and of the copy of it that the other one got. */
export interface Served {
  readonly revision: number;
  readonly at: number;
  readonly end: number;
  readonly beside: Beside;
  readonly copy: Served | null;
}

interface Job {
  readonly revision: number;
  readonly at: number;
  readonly before: Pick<Beside, "atStart" | "elsewhere">;
  /** Of `come`, with it. */
  readonly number: number;
  /** Of stable's work; a request is as hard for both. */
  readonly hard: number;
  readonly original: Served | null;
  /** At its server. */
  moreCame: boolean;
  left: number;
}

/** Requests that come by chance, each about 8 ms of work of stable's. */
export interface Traffic {
  readonly kind: Kind;
  /** The candidate's part of them. */
  readonly share: number;
  /** Work of a request of the candidate's, about. */
  readonly workMs?: number;
  /** So many of them are copied to the other one. @default 0 */
  readonly copied?: number;
  /** @default even */
  readonly work?: keyof typeof WORK;
  /** @default 75 */
  readonly perSecond?: number;
  /** So many come at once. @default 1 */
  readonly burst?: number;
  readonly minutes: number;
}

const POOL = 4;
const WORK_MS = 8;
const MOST_COPIES = 4;

/** By how much a job is slowed down by those that are there. */
function slowdown(kind: Kind, job: Job, jobs: readonly Job[]): number {
  if (kind === "machine") return jobs.length;
  if (kind === "one") return jobs[0] === job ? 1 : Infinity;
  const own = jobs.filter(({ revision }) => revision === job.revision);
  if (kind === "shared") return own.length;
  return own.indexOf(job) < (kind === "pool" ? POOL : 1) ? 1 : Infinity;
}

/** What the servers of two versions make of their requests. */
export function serve(random: () => number, traffic: Traffic): readonly Served[] {
  const { kind, share, workMs = WORK_MS, copied = 0, minutes } = traffic;
  const { work = "even", perSecond = 75, burst = 1 } = traffic;
  const done: Served[] = [];
  const jobs: Job[] = [];
  let come = 0;
  let now = 0;
  const gap = (): number => (-Math.log(1 - random()) * 1000 * burst) / perSecond;
  const at = (revision: number): number =>
    jobs.reduce((sum, job) => sum + (job.revision === revision ? 1 : 0), 0);
  const send = (revision: number, hard: number, original: Served | null): void => {
    come += 1;
    for (const job of jobs) if (job.revision === revision) job.moreCame = true;
    const atStart = at(revision);
    const before = { atStart, elsewhere: jobs.length - atStart };
    const left = hard * (revision === CANDIDATE ? workMs : WORK_MS);
    const moreCame = false;
    jobs.push({ revision, at: now, before, moreCame, number: come, hard, original, left });
  };
  const end = (job: Job): void => {
    const { revision, before, moreCame, original } = job;
    const alone = before.atStart + before.elsewhere === 0 && job.number === come;
    const beside = { ...before, moreCame, alone };
    const served: Served = { revision, at: job.at, end: now, beside, copy: null };
    if (original !== null) done.push({ ...original, copy: served });
    else if (random() < copied && at(CANDIDATE + STABLE - revision) < MOST_COPIES)
      send(CANDIDATE + STABLE - revision, job.hard, served);
    else done.push(served);
  };
  for (let next = gap(); next < minutes * 60_000;) {
    const slow = jobs.map((job) => slowdown(kind, job, jobs));
    const least = Math.min(...jobs.map(({ left }, place) => left * (slow[place] ?? 1)));
    const until = Math.min(next, now + least);
    jobs.forEach((job, place) => (job.left -= (until - now) / (slow[place] ?? 1)));
    now = until;
    const ended = jobs.findIndex(({ left }) => left <= 1e-9);
    const [job] = ended < 0 ? [] : jobs.splice(ended, 1);
    if (job !== undefined) end(job);
    else {
      for (let one = 0; one < burst; one += 1)
        send(random() < share ? CANDIDATE : STABLE, WORK[work](random), null);
      next = now + gap();
    }
  }
  return done;
}
