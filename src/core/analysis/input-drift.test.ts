/** Inputs against a reference set: what is reported, and that nothing ever goes back for it. */
import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import { analysisOf, fold, intervalOf, judge, METRICS } from "../../../test/support/watch.ts";
import { logE, meanBet, startEProcess, addIncrements } from "../evidence/index.ts";
import type { Metric } from "../policy/index.ts";
import { tensorFromWire } from "../tensor/index.ts";
import { binning, parseDigest, summariseInputs, type ReferenceSet } from "../version/index.ts";
import {
  noArmCounts,
  planAnalysis,
  startAnalysis,
  type Assessment,
  type Interval,
} from "./index.ts";
import { observeInputDrift, planInputDrift, startInputDrift } from "./input-drift-test.ts";

const NAMES = ["amount", "age", "country"];
type Row = readonly number[];
type Draw = (random: () => number) => Row;

const digest = parseDigest(`sha256:${"0".repeat(64)}`);
const usual: Draw = (random) => [
  -Math.log(1 - random()) * 40,
  20 + random() * 50,
  Math.floor(random() * random() * 5),
];

function referenceOf(draw: Draw, rows: number): ReferenceSet {
  const random = seededRandom(1);
  const data = Array.from({ length: rows }, () => draw(random)).flat();
  const x = tensorFromWire({ name: "x", dtype: "FP64", shape: [rows, NAMES.length], data });
  return summariseInputs(digest, [x], NAMES);
}

function countsOf(reference: ReferenceSet, rows: readonly Row[]): number[][] {
  return reference.features.map(({ bins, counts, element }) => {
    const sums = counts.map(() => 0);
    for (const row of rows) {
      const bin = binning(bins)(row[element] ?? NaN);
      sums[bin] = (sums[bin] ?? 0) + 1;
    }
    return sums;
  });
}

const reference = referenceOf(usual, 5_000);

/** Seconds of traffic, 30 requests of each arm in each, that nothing else is wrong with. */
function traffic(draw: Draw, seconds: number, seed = 2): readonly Interval[] {
  const random = seededRandom(seed);
  const arm = () => ({
    ...noArmCounts(),
    requests: 30,
    inputs: countsOf(
      reference,
      Array.from({ length: 30 }, () => draw(random)),
    ),
  });
  return Array.from({ length: seconds }, (_, at) =>
    intervalOf(at, { candidate: arm(), stable: arm() }),
  );
}

const metric = (action: "hold" | "report"): Metric => ({
  kind: "inputDrift",
  name: "inputDrift",
  weight: 0,
  action,
  reference: "candidate",
  tolerance: { absolute: 0.02, relative: 1.25 },
});

function judged(
  intervals: readonly Interval[],
  action: "hold" | "report" = "report",
  set: ReferenceSet | null = reference,
  dispersion: "auto" | number = "auto",
): Assessment {
  const plan = planAnalysis({
    analysis: analysisOf([METRICS.errorRate, metric(action)], { dispersion }),
    horizonIntervals: 300,
    baseline: [],
    comparison: "live",
    reference: set,
  });
  // As it is stored.
  const frozen = JSON.parse(JSON.stringify(plan)) as typeof plan;
  return judge(fold(startAnalysis(frozen), intervals));
}

const ofInputs = ({ metrics }: Assessment) => metrics.find(({ kind }) => kind === "inputDrift");

const scaled: Draw = (random) => {
  const [amount = 0, ...rest] = usual(random);
  return [amount * 100, ...rest];
};

const missing: Draw = (random) => {
  const [amount = 0, age = 0, country = 0] = usual(random);
  return [amount, random() < 0.3 ? NaN : age, random() < 0.3 ? 7 : country];
};

describe("inputs as the reference set has them", () => {
  test("say nothing, however long", () => {
    const verdict = judged(traffic(usual, 300), "hold");
    expect(verdict.decision).toBe("continue");
    expect(ofInputs(verdict)).toMatchObject({ verdict: "inconclusive" });
    expect(ofInputs(verdict)?.features?.some(({ shifted }) => shifted)).toBe(false);
    expect(ofInputs(verdict)?.words).toContain("no more than chance explains");
  });

  test("are hardly ever reported, over many watches", () => {
    let reported = 0;
    for (let seed = 10; seed < 110; seed += 1)
      reported += Number(ofInputs(judged(traffic(usual, 60, seed)))?.verdict === "fail");
    expect(reported).toBeLessThanOrEqual(5);
  });
});

describe("shifted inputs", () => {
  test("are reported by the name of the feature, and never bring anything back", () => {
    const verdict = judged(traffic(scaled, 120));
    expect(verdict).toMatchObject({ decision: "continue", blamed: [] });
    const told = ofInputs(verdict);
    expect(told).toMatchObject({ verdict: "fail", action: "report", weight: 0 });
    expect(told?.features?.filter(({ shifted }) => shifted).map(({ name }) => name)).toEqual([
      "amount",
    ]);
    expect(told?.words).toMatch(/^amount above [\d.]+: \d\d % of inputs, reference 0 % \(PSI /);
  });

  test("stop the rollout where the policy asks for that, and no more", () => {
    const verdict = judged(traffic(scaled, 120), "hold");
    expect(verdict).toMatchObject({ decision: "hold", blamed: ["inputDrift"] });
    expect(verdict.why).toContain("inputDrift: amount above ");
  });

  test("show in what is missing, and in a category that nobody had", () => {
    const told = ofInputs(judged(traffic(missing, 120)))?.features ?? [];
    const named = told.filter(({ shifted }) => shifted).map(({ name, bin }) => `${name} ${bin}`);
    expect(named.toSorted()).toEqual(["age missing", "country any other value"]);
  });

  test("show late, too", () => {
    const late = [...traffic(usual, 150), ...traffic(scaled, 300).slice(150)];
    expect(ofInputs(judged(late))).toMatchObject({ verdict: "fail" });
  });
});

test("without inputs nothing is said, and nothing is taken for good", () => {
  const silent = traffic(usual, 60).map((interval) => ({
    ...interval,
    candidate: { ...interval.candidate, inputs: [] },
    stable: { ...interval.stable, inputs: [] },
  }));
  expect(ofInputs(judged(silent))).toMatchObject({
    verdict: "inconclusive",
    words: "too few inputs yet",
  });
});

test("counts of another reference set are no evidence", () => {
  const other = traffic(scaled, 60).map((interval) => ({
    ...interval,
    candidate: { ...interval.candidate, inputs: [[0, 1_000]] },
    stable: noArmCounts(),
  }));
  expect(ofInputs(judged(other))).toMatchObject({ words: "too few inputs yet" });
});

test("without a reference set it says so, and who is to stop for it stops", () => {
  const words = "no reference set was registered with the version (register --reference)";
  const told = judged(traffic(usual, 10), "report", null);
  expect(told.decision).toBe("continue");
  expect(ofInputs(told)).toMatchObject({ verdict: "inconclusive", words: `not tested: ${words}` });
  expect(judged(traffic(usual, 10), "hold", null)).toMatchObject({
    decision: "hold",
    source: "broken",
    why: `inputDrift cannot be read: ${words}`,
  });
});

test("a bin is a MeanBet against what its share may be, by what the set's rows can tell", () => {
  const set = {
    rows: 1_000,
    features: [
      {
        name: "flag",
        input: "x",
        element: 0,
        bins: { kind: "category" as const, values: [0, 1] },
        counts: [900, 100, 0, 0],
      },
    ],
  };
  const plan = planInputDrift(set, { absolute: 0.02, relative: 1.25 });
  const [common, rare, other] = plan.features[0]?.bins ?? [];
  // 1.25 times 90 % leaves nothing that would be too much.
  expect(common).toMatchObject({ label: "0", share: 0.9, most: null });
  // Beyond 1.25 times the share and 2 points, for a tenth of a thousand rows is not known better.
  expect(rare?.most).toBeGreaterThan(1.25 * 0.1 + 0.02);
  expect(rare?.most).toBeLessThan(0.24);
  expect(rare?.least).toBeLessThan(0.1 / 1.25 - 0.02);
  expect(other).toMatchObject({ share: 0, least: null });
  const arm = { ...noArmCounts(), inputs: [[600, 400, 0, 0]] };
  const start = startInputDrift(plan, 100);
  const after = observeInputDrift(
    plan,
    start,
    { candidate: arm, stable: noArmCounts() },
    { dispersion: 1, over: 1 },
  );
  const alone = addIncrements(
    startEProcess({ bets: "regression", horizon: 100 }),
    meanBet({ observations: 1_000, bad: 400 }, rare?.most ?? NaN),
  );
  const higher = after.features[0]?.higher[1] ?? null;
  expect(higher === null ? NaN : logE(higher)).toBe(logE(alone));
});

test("inputs that come in bursts are fewer than they seem", () => {
  const clumped: Draw[] = [];
  const random = seededRandom(5);
  for (let second = 0; second < 240; second += 1) {
    const country = Math.floor(random() * random() * 5);
    clumped.push((draw) => {
      const [amount = 0, age = 0, own = 0] = usual(draw);
      return [amount, age, second % 8 === 0 ? country : own];
    });
  }
  const intervals = clumped.map((draw, at) => ({
    ...(traffic(draw, 1, 1_000 + at)[0] ?? intervalOf(at)),
    from: at * 1000,
    to: (at + 1) * 1000,
  }));
  expect(ofInputs(judged(intervals))).toMatchObject({ verdict: "inconclusive" });
  // Taken for independent they would be reported.
  expect(ofInputs(judged(intervals, "report", reference, 1))).toMatchObject({ verdict: "fail" });
});
