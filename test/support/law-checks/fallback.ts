import { expect } from "vitest";

import { canaryRoute, connected, MOODS, publishReady, type CanaryOptions } from "../canary.ts";
import { GatewayHarness, numberBody } from "../gateway-harness.ts";

async function onCanary(
  dist: string,
  options: CanaryOptions,
  check: (harness: GatewayHarness) => Promise<void>,
): Promise<void> {
  const harness = new GatewayHarness({ dist, workers: 1 });
  try {
    await connected(harness);
    const stable = await harness.numbers(1, "doubles", "v1.0");
    const candidate = await harness.numbers(2, "moody", "v1.1");
    await publishReady(harness, canaryRoute(harness, { stable, candidate }, options));
    await check(harness);
  } finally {
    await harness.end();
  }
}

/** Law 5: what a candidate fails, however it fails it, stable answers; others never notice. */
export function checkFallback(dist: string): Promise<void> {
  return onCanary(dist, { weight: 50 }, async (harness) => {
    for (const mood of ["throws", "nan"] as const) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => harness.infer(numberBody(MOODS[mood]))),
      );
      const failed = answers.filter((answer) => answer.status !== 200);
      expect(failed, "law 5: stable answers what the candidate fails").toEqual([]);
      expect(
        answers.filter((answer) => answer.fallback === "v1.1/2").length,
        "law 5: the answer says who failed",
      ).toBeGreaterThan(0);
    }
  });
}

/** Law 6: a published limit that is reached acts at once, while stable is healthy. */
export function checkHardLimits(dist: string): Promise<void> {
  return onCanary(dist, { weight: 100, breaker: true }, async (harness) => {
    for (let turn = 0; turn < 20; turn += 1) await harness.infer(numberBody(MOODS.nan));
    const direct = await harness
      .until(async () => {
        const answer = await harness.infer(numberBody(MOODS.nan));
        return answer.revision === "1" && answer.fallback === undefined;
      }, "the switch to stable")
      .catch(() => false);
    expect(direct, "law 6: 20 invalid answers take the candidate out").toBe(true);
  });
}
