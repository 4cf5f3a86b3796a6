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
import { latencyBucket } from "../../core/analysis/index.ts";
import type { Beside } from "../runtime/index.ts";

/** `queue`: one request after the other. `pool`: four at a time. `shared`: all at once, each the slower. */
type Kind = "queue" | "pool" | "shared";

const AT_A_TIME: Readonly<Record<Kind, number>> = { queue: 1, pool: 4, shared: Infinity };

/** What a request is worth, of a mean of 1: nearly the same, anything, or one of 100 twenty times as much. */
const WORK = {
  any: (random: () => number): number => -Math.log(1 - random()),
  even: (random: () => number): number => 0.7 + 0.6 * random(),
  uneven: (random: () => number): number => (random() < 0.01 ? 20 : 1) / 1.19,
} as const;

interface Served {
  readonly at: number;
  readonly end: number;
  readonly beside: Beside;
}

interface Job {
  readonly at: number;
  readonly atStart: number;
  moreCame: boolean;
  left: number;
}

/** What one server makes of requests that come at these times, each of so much work. */
function serve(
  kind: Kind,
  requests: readonly { readonly at: number; readonly work: number }[],
): readonly Served[] {
  const done: Served[] = [];
  const jobs: Job[] = [];
  const coming = requests.toReversed();
  let now = 0;
  while (coming.length > 0) {
    const running = jobs.slice(0, AT_A_TIME[kind]);
    const pace = kind === "shared" ? running.length : 1;
    const least = Math.min(...running.map(({ left }) => left * pace));
    const until = Math.min(coming.at(-1)?.at ?? 0, now + least);
    for (const job of running) job.left -= (until - now) / pace;
    now = until;
    const ended = jobs.findIndex(({ left }) => left <= 1e-9);
    if (ended >= 0) {
      const [job] = jobs.splice(ended, 1);
      if (job !== undefined) {
        const { at, atStart, moreCame } = job;
        done.push({ at, end: now, beside: { atStart, moreCame } });
      }
      continue;
    }
    for (const job of jobs) job.moreCame = true;
    const left = coming.pop()?.work ?? 0;
    jobs.push({ at: now, atStart: jobs.length, moreCame: false, left });
  }
  return done;
}

/** How requests come, and what they are worth. */
interface Asked {
  readonly kind: Kind;
  /** Of the candidate; stable's are 8. */
  readonly workMs?: number;
  readonly work?: keyof typeof WORK;
  readonly share?: number;
  readonly perSecond?: number;
  /** At once. */
  readonly burst?: number;
  readonly seconds?: number;
}

/** The requests of both arms, and when they came. */
function asked(random: () => number, options: Asked): Readonly<Record<"ours" | "theirs", Asking>> {
  const { workMs = 8, work = "even", share = 0.95, perSecond = 75, burst = 1 } = options;
  const { seconds = 240 } = options;
  const ours: { at: number; work: number }[] = [];
  const theirs: { at: number; work: number }[] = [];
  let at = 0;
  while (at < seconds * 1000) {
    at += (-Math.log(1 - random()) * 1000 * burst) / perSecond;
    for (let one = 0; one < burst; one += 1) {
      const isOurs = random() < share;
      (isOurs ? ours : theirs).push({ at, work: (isOurs ? workMs : 8) * WORK[work](random) });
    }
  }
  return { ours, theirs };
}

type Asking = readonly { readonly at: number; readonly work: number }[];

/** The verdict on a candidate with a share of the requests; `told`: what else the servers were asked. */
function bake(options: Asked, told = true): string {
  const { ours, theirs } = asked(seededRandom(20261129), options);
  const stage = new EvidenceStage();
  stage.watch({ ...WATCH, candidateShare: options.share ?? 0.95 });
  const begin = stage.now;
  const arms = [
    { revision: CANDIDATE, requests: ours },
    { revision: STABLE, requests: theirs },
  ] as const;
  const events = arms.flatMap(({ revision, requests }) =>
    serve(options.kind, requests).flatMap((served) => {
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

const HARD: readonly Asked[] = [
  { kind: "pool", perSecond: 400, share: 0.95, work: "any", seconds: 120 },
  { kind: "shared", perSecond: 75, share: 0.95, burst: 50 },
  { kind: "shared", perSecond: 40, share: 0.5, burst: 50, work: "uneven" },
  { kind: "pool", perSecond: 150, share: 0.95, burst: 50, work: "uneven" },
  { kind: "queue", perSecond: 75, share: 0.5, burst: 50, work: "uneven" },
];

test.each(["queue", "shared"] as const)(
  "%s: an equal candidate with nearly all of the traffic is not slower",
  (kind) => {
    expect(bake({ kind })).toBe("continue");
    // Without a word on what else they had to do its times are those of a busy server.
    expect(bake({ kind }, false)).toBe("rollback");
  },
);

test.each(["queue", "shared"] as const)("%s: a slower candidate is found all the same", (kind) => {
  expect(bake({ kind, workMs: 12 })).toBe("rollback");
});

// What takes long ends when the others of its burst are gone: it was not alone for that. And of those that
// wait for the same one, all are slow, in one arm.
test.each(HARD)("an equal candidate is not slower: %o", (options) => {
  expect(bake({ seconds: 600, ...options })).toBe("continue");
});

test("what more came beside tells times apart, in the arm that may have more of it", () => {
  const stage = new EvidenceStage();
  const counted = (candidateShare: number | null): readonly (readonly string[])[] => {
    stage.watch({ ...WATCH, candidateShare });
    for (const revision of [STABLE, CANDIDATE])
      for (const atStart of [0, 1])
        for (const moreCame of [false, true])
          stage.admit(revision).answered({ ...answer(3), beside: { atStart, moreCame } });
    const [record] = stage.pass(1_000);
    return [STABLE, CANDIDATE].map((revision) =>
      Object.keys(stage.counts(record, revision).latency),
    );
  };
  const alike = ["1", "1+1"];
  expect(counted(0.1)).toEqual([alike, alike]);
  expect(counted(0.5)).toEqual([alike, alike]);
  for (const share of [0.51, null])
    expect(counted(share)).toEqual([alike, ["1", "1+", "1+1", "1+1+"]]);
});

test("alone in its watch a revision is measured as stable will be", () => {
  const stage = new EvidenceStage();
  stage.watch({ ...WATCH, stable: null });
  stage.admit().answered({ ...answer(3), beside: { atStart: 2, moreCame: true } });
  const [record] = stage.pass(1_000);
  expect(Object.keys(stage.counts(record).latency)).toEqual(["1+2"]);
});

test("very many others, and more that came, are told from very many rows", () => {
  const stage = new EvidenceStage();
  const beside = { atStart: 5_000, moreCame: true };
  stage.admit().answered({ ...answer(3), batch: 2 ** 30, beside });
  const [record] = stage.pass(1_000);
  expect(stage.counts(record).latency).toEqual({ "1073741824+992+": [[latencyBucket(3), 1]] });
});
