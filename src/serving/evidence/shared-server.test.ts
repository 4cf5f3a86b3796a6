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
import { serve, type Kind, type Served, type Traffic } from "../../../test/support/two-servers.ts";
import {
  analysisOf,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
} from "../../../test/support/watch.ts";
import { latencyBucket, type Interval } from "../../core/analysis/index.ts";
import type { Beside } from "../runtime/index.ts";
import type { PairTicket } from "./pair.ts";
import type { RequestTicket } from "./ticket.ts";

const COMPARED = new Set(["label"]);

interface Case {
  /** Of the traffic; 1 and 0: the other one gets copies alone. */
  readonly share: number;
  readonly workMs?: number;
  readonly minutes?: number;
  readonly more?: Pick<Traffic, "work" | "perSecond" | "burst">;
  /** What is told of other requests. */
  readonly told?: (beside: Beside) => Beside | undefined;
}

/** What the gateway makes of it. */
function intervalsOf(
  kind: Kind,
  { share, workMs = 8, minutes = 4, more = {}, told = (beside) => beside }: Case,
): readonly Interval[] {
  const stage = new EvidenceStage();
  const isCopied = share === 0 || share === 1;
  const [of, to] = share === 0 ? [STABLE, CANDIDATE] : [CANDIDATE, STABLE];
  stage.watch({
    ...WATCH,
    candidateShare: isCopied ? null : share,
    mirror: isCopied ? { of, to, percent: 30 } : null,
  });
  const begin = stage.now;
  const copied = isCopied ? 0.3 : 0;
  const served = serve(seededRandom(20261129), { kind, share, workMs, copied, minutes, ...more });
  const resultOf = ({ at, end, beside }: Served) => ({ ...answer(end - at), beside: told(beside) });
  const events = served.flatMap((one) => {
    const { revision, at, end, copy } = one;
    let ticket: RequestTicket | null = null;
    let pair: PairTicket | null = null;
    const answered = (): void => {
      ticket?.answered(resultOf(one));
      if (copy !== null) pair = ticket?.pair(COMPARED) ?? null;
    };
    const own = [
      { at, run: () => (ticket = stage.admit(revision)) },
      { at: end, run: answered },
    ];
    if (copy === null) return own;
    return [...own, { at: copy.end, run: () => pair?.answered(resultOf(copy)) }];
  });
  for (const { at, run } of events.toSorted((a, b) => a.at - b.at)) {
    const before = Math.floor(stage.now / 1_000);
    stage.now = begin + at;
    if (Math.floor(stage.now / 1_000) > before) stage.pass(0);
    run();
  }
  stage.pass(1_000);
  return stage.records.map((record, number) => ({
    ...intervalOf(number, {
      candidate: stage.counts(record, CANDIDATE),
      stable: stage.counts(record, STABLE),
    }),
    pairs: record.pairs,
  }));
}

/** The verdict on a candidate's times. */
function verdict(kind: Kind, of: Case): string {
  const { share } = of;
  const comparison = share === 0 || share === 1 ? "paired" : "live";
  const start = startWatch(analysisOf([METRICS.latency]), { comparison });
  return judge(fold(start, intervalsOf(kind, of))).decision;
}

const KINDS = ["queue", "pool", "shared", "machine", "one"] as const;
/** Copies alone, a canary's step, half of the traffic, a bake, and copies of all to stable. */
const SHARES = [0, 0.1, 0.5, 0.95, 1] as const;

test.each(KINDS.flatMap((kind) => SHARES.map((share) => [kind, share] as const)))(
  "%s: an equal candidate is not slower, with %f of the traffic",
  (kind, share) => {
    expect(verdict(kind, { share })).toBe("continue");
  },
);

test.each([
  ["queue", 0, 12],
  ["queue", 0.1, 20],
  ["queue", 0.5, 12],
  ["queue", 0.95, 12],
  ["queue", 1, 12],
  ["shared", 0.1, 20],
  ["shared", 0.95, 12],
  ["shared", 1, 12],
  ["machine", 0, 12],
  ["machine", 0.1, 16],
  ["machine", 0.5, 16],
  ["one", 0.1, 12],
] as const)("%s: with %f of the traffic, one that takes %i ms is found", (kind, share, workMs) => {
  // Of copies only the times of runs without company are compared: at a busy server, few.
  const minutes = share === 0 || share === 1 ? 15 : 4;
  expect(verdict(kind, { share, workMs, minutes })).toBe("rollback");
});

test.each(["queue", "shared"] as const)(
  "%s: without a word on what else it had to do the busier one is slower",
  (kind) => {
    for (const share of [0.95, 1])
      expect(verdict(kind, { share, told: () => undefined })).toBe("rollback");
  },
);

// What takes long ends when the others of its burst have gone, and those that wait for one are slow together.
test.each([
  ["pool", { share: 0.95, minutes: 2, more: { perSecond: 400, work: "any" } }],
  ["shared", { share: 0.95, minutes: 2, more: { burst: 50 } }],
  ["shared", { share: 0.5, minutes: 10, more: { perSecond: 40, burst: 50, work: "uneven" } }],
  ["machine", { share: 0.1, minutes: 10, more: { perSecond: 40, burst: 50, work: "uneven" } }],
  ["pool", { share: 0.95, minutes: 6, more: { perSecond: 150, burst: 50, work: "uneven" } }],
  ["queue", { share: 0.5, minutes: 6, more: { burst: 50, work: "uneven" } }],
] as const)("%s: an equal candidate is not slower where requests are hard: %o", (kind, of) => {
  expect(verdict(kind, of)).toBe("continue");
});

const nothingElsewhere = (beside: Beside): Beside => ({ ...beside, elsewhere: 0 });

test("machine: by what its own server had alone, the less busy one is slower", () => {
  expect(verdict("machine", { share: 0.1, told: nothingElsewhere })).toBe("rollback");
});

const AMID: Beside = { atStart: 1, moreCame: true, elsewhere: 7, alone: false };
const ALONE: Beside = { atStart: 0, moreCame: false, elsewhere: 0, alone: true };

/** By which names the times of stable and of the candidate go. */
function names(watch: Partial<typeof WATCH>, besides: readonly Beside[]): readonly string[][] {
  const stage = new EvidenceStage();
  stage.watch({ ...WATCH, ...watch });
  const revisions = watch.stable === null ? [CANDIDATE] : [STABLE, CANDIDATE];
  for (const revision of revisions)
    for (const beside of besides) stage.admit(revision).answered({ ...answer(3), beside });
  const [record] = stage.pass(1_000);
  return revisions.map((revision) => Object.keys(stage.counts(record, revision).latency));
}

test("a candidate that may be busier goes by its own server, and what more came beside is kept apart", () => {
  const besides = [ALONE, { ...ALONE, moreCame: true }, { ...AMID, moreCame: false }, AMID];
  for (const candidateShare of [0.51, null])
    expect(names({ candidateShare }, besides)).toEqual([
      ["1", "1+1"],
      ["1", "1+", "1+1", "1+1+"],
    ]);
});

test("with the smaller part of the traffic, both versions' go by what both servers had", () => {
  for (const candidateShare of [0.1, 0.5])
    expect(names({ candidateShare }, [ALONE, AMID])).toEqual([
      ["1", "1+8"],
      ["1", "1+8"],
    ]);
});

test("alone in its watch a revision is measured as stable will be", () => {
  expect(names({ stable: null }, [{ ...AMID, atStart: 2 }])).toEqual([["1+2"]]);
});

test("very many others, and more that came, are told from very many rows", () => {
  const stage = new EvidenceStage();
  const beside = { ...AMID, atStart: 5_000 };
  stage.admit().answered({ ...answer(3), batch: 2 ** 30, beside });
  const [record] = stage.pass(1_000);
  expect(stage.counts(record).latency).toEqual({ "1073741824+992+": [[latencyBucket(3), 1]] });
});
