import { latencyBucket } from "../../../src/core/analysis/index.ts";
import type { Route, RouteRevision, Watch } from "../../../src/link/route/index.ts";
import { latencySlot, newWindow } from "../../../src/serving/evidence/tally.ts";
import { drawBinomial } from "../../support/seeded-random.ts";
import type { Truth } from "./models.ts";

type Window = ReturnType<typeof newWindow>;

/** What one worker took in during one tick, and how it ends. */
interface Taken {
  readonly interval: number;
  readonly tick: number;
  readonly requests: number;
  readonly random: () => number;
  readonly truthOf: (revision: RouteRevision) => Truth;
}

/** What a worker saw of the revisions under watch, drawn from what they are in truth. */
export function drawWindow(route: Route, watch: Watch, taken: Taken): Window {
  const compared = [watch.candidate, ...(watch.stable === null ? [] : [watch.stable])];
  const window = newWindow(taken.interval, taken.tick, compared);
  drawArms(route, window, taken);
  drawPairs(route, watch, { window, taken });
  return window;
}

function drawArms(route: Route, window: Window, { requests, random, truthOf }: Taken): void {
  let left = requests;
  let weightLeft = 100;
  for (const { revision, weight } of route.split.arms) {
    const arm = window.arms.find((each) => each.revision === revision);
    const described = route.revisions.find((each) => each.revision === revision);
    const share = Math.min(1, weight / Math.max(1e-9, weightLeft));
    const own = drawBinomial(random, left, share);
    left -= own;
    weightLeft -= weight;
    if (arm === undefined || described === undefined) continue;
    const { errorRate, latencyMs } = truthOf(described);
    arm.requests += own;
    arm.errors += drawBinomial(random, own, errorRate);
    const slow = drawBinomial(random, own, 0.3);
    const slots = [
      [latencyMs, own - slow],
      [latencyMs * 1.5, slow],
    ] as const;
    for (const [ms, times] of slots)
      if (times > 0)
        arm.latency.set(
          latencySlot({ rows: 1, beside: 0, moreCame: false, bucket: latencyBucket(ms) }),
          times,
        );
  }
}

/** Pairs whose times are told in each interval. */
const MOST_SEEN = 20;

function drawPairs(
  { revisions }: Route,
  { mirror, ...watch }: Watch,
  { window, taken }: { readonly window: Window; readonly taken: Taken },
): void {
  const candidate = revisions.find((each) => each.revision === watch.candidate);
  const stable = revisions.find((each) => each.revision === watch.stable);
  if (mirror === null || candidate === undefined || stable === undefined) return;
  const { requests, random, truthOf } = taken;
  const ours = truthOf(candidate).errorRate;
  const theirs = truthOf(stable).errorRate;
  const pairs = drawBinomial(random, requests, mirror.percent / 100);
  window.pairs.pairs += pairs;
  const bad = drawBinomial(random, pairs, ours);
  const both = drawBinomial(random, bad, theirs);
  window.pairs.bothBad += both;
  window.pairs.onlyCandidateBad += bad - both;
  const onlyStableBad = drawBinomial(random, pairs - bad, theirs);
  window.pairs.onlyStableBad += onlyStableBad;
  const seen = (latencyMs: number) => {
    const bucket = latencyBucket(latencyMs * (random() < 0.3 ? 1.5 : 1));
    return { run: { rows: 1, beside: 0, moreCame: false, bucket }, label: null };
  };
  for (let pair = bad + onlyStableBad; pair < Math.min(pairs, MOST_SEEN); pair += 1)
    window.pairsSeen.push({
      candidate: seen(truthOf(candidate).latencyMs),
      stable: seen(truthOf(stable).latencyMs),
    });
}
