/**
 * Servers that take several requests at a time answer the later the more they have. The arm with more of
 * the traffic must not look slow for that.
 */
import { expect, test } from "vitest";

import {
  answer,
  CANDIDATE,
  EvidenceStage,
  STABLE,
  WATCH,
} from "../../../test/support/evidence-stage.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { fold, intervalOf, judge, METRICS, watchOnly } from "../../../test/support/watch.ts";
import type { Beside } from "../runtime/index.ts";

/** `queue`: one request after the other. `shared`: all at once, each the slower. */
type Kind = "queue" | "shared";

interface Served {
  readonly at: number;
  readonly end: number;
  readonly beside: Beside;
}

interface Job {
  readonly at: number;
  readonly atStart: number;
  left: number;
}

/** What one server makes of requests that come by chance, so many a second; each is `workMs` of work, more or less. */
function serve(
  random: () => number,
  {
    kind,
    perSecond,
    workMs,
    seconds,
  }: {
    readonly kind: Kind;
    readonly perSecond: number;
    readonly workMs: number;
    readonly seconds: number;
  },
): readonly Served[] {
  const done: Served[] = [];
  const jobs: Job[] = [];
  const gap = (): number => (-Math.log(1 - random()) * 1000) / perSecond;
  let now = 0;
  let next = gap();
  while (next < seconds * 1000) {
    const running = kind === "queue" ? jobs.slice(0, 1) : jobs;
    const least = Math.min(...running.map(({ left }) => left * running.length));
    const until = Math.min(next, now + least);
    for (const job of running) job.left -= (until - now) / running.length;
    now = until;
    const ended = jobs.findIndex(({ left }) => left <= 1e-9);
    if (ended >= 0) {
      const [job] = jobs.splice(ended, 1);
      if (job !== undefined) {
        const { at, atStart } = job;
        done.push({ at, end: now, beside: { atStart, atEnd: jobs.length } });
      }
      continue;
    }
    jobs.push({ at: now, atStart: jobs.length, left: workMs * (0.7 + 0.6 * random()) });
    next = now + gap();
  }
  return done;
}

/** The verdict on a candidate with 95 % of 75 requests/s, each 8 ms of work of stable's. */
function bake(kind: Kind, { workMs = 8, told = true } = {}): string {
  const random = seededRandom(20261129);
  const seconds = 240;
  const stage = new EvidenceStage();
  const begin = stage.now;
  const arms = [
    { revision: CANDIDATE, perSecond: 71, workMs },
    { revision: STABLE, perSecond: 4, workMs: 8 },
  ] as const;
  const events = arms.flatMap(({ revision, ...load }) =>
    serve(random, { kind, seconds, ...load }).flatMap((served) => {
      let ticket: ReturnType<EvidenceStage["admit"]> | null = null;
      const { beside } = served;
      return [
        { at: served.at, run: () => (ticket = stage.admit(revision)) },
        {
          at: served.end,
          run: () =>
            ticket?.answered({ ...answer(served.end - served.at), ...(told ? { beside } : {}) }),
        },
      ];
    }),
  );
  for (const { at, run } of events.toSorted((a, b) => a.at - b.at)) {
    const before = Math.floor(stage.now / 1_000);
    stage.now = begin + at;
    if (Math.floor(stage.now / 1_000) > before) stage.pass(0);
    run();
  }
  stage.pass(1_000);
  const intervals = stage.records.map((record, number) =>
    intervalOf(number, {
      candidate: stage.counts(record, CANDIDATE),
      stable: stage.counts(record, STABLE),
    }),
  );
  return judge(fold(watchOnly(METRICS.latency), intervals)).decision;
}

test.each(["queue", "shared"] as const)(
  "%s: an equal candidate with nearly all of the traffic is not slower",
  (kind) => {
    expect(bake(kind)).toBe("continue");
    // Without a word on what else they had to do its times are those of a busy server.
    expect(bake(kind, { told: false })).toBe("rollback");
  },
);

test.each(["queue", "shared"] as const)("%s: a slower candidate is found all the same", (kind) => {
  expect(bake(kind, { workMs: 12 })).toBe("rollback");
});

test("stable's requests go by what they were sent beside, the candidate's by what came as well", () => {
  const stage = new EvidenceStage();
  const beside = { atStart: 1, atEnd: 4 };
  for (const revision of [STABLE, CANDIDATE])
    stage.admit(revision).answered({ ...answer(3), beside });
  stage.admit().answered({ ...answer(3), beside: { atStart: 0, atEnd: 0 } });
  const [record] = stage.pass(1_000);
  expect(Object.keys(stage.counts(record, STABLE).latency)).toEqual(["1+1"]);
  expect(Object.keys(stage.counts(record).latency)).toEqual(["1", "1+4"]);
});

test("alone in its watch a revision is measured as stable will be", () => {
  const stage = new EvidenceStage();
  stage.watch({ ...WATCH, stable: null });
  stage.admit().answered({ ...answer(3), beside: { atStart: 2, atEnd: 5_000 } });
  const [record] = stage.pass(1_000);
  expect(Object.keys(stage.counts(record).latency)).toEqual(["1+2"]);
});
