import { expect } from "vitest";

import { oipBody } from "../load.ts";
import { heldOutRows } from "../rows.ts";
import type { TestServer } from "../server.ts";
import { quickCanary, UnderTraffic } from "../under-traffic.ts";

/** Petals from here on are what `v2.0-throws` throws at, cm. */
const THROWS_FROM = 5;
const GOOD_PER_BAD = 20;

/** Requests of which the throwing version fails one in 21. */
function noise(): readonly string[] {
  const rows = heldOutRows("iris").map(({ features }) => features);
  const bad = rows.filter((row) => (row[2] ?? 0) >= THROWS_FROM);
  const good = rows.filter((row) => (row[2] ?? 0) < THROWS_FROM);
  return bad.flatMap((row, index) => [
    ...Array.from({ length: GOOD_PER_BAD }, (_, at) => {
      const one = good[(index * GOOD_PER_BAD + at) % good.length];
      return oipBody(one ?? []);
    }),
    oipBody(row),
  ]);
}

/** Law 6: what fails as often as stable does is not sent back, what fails more often is. */
export async function checkSound(server: TestServer): Promise<void> {
  const noisy = await UnderTraffic.start(server, "law-noise", {
    file: "iris/v2.0-throws.onnx",
    policy: quickCanary(),
    bodies: noise(),
    concurrency: 8,
  });
  try {
    await noisy.register("v1.2", "iris/v2.0-throws.onnx");
    const ended = await noisy.rollsOut("v1.2").catch(() => null);
    const verdict = ended === null ? "still held" : `${ended.phase} ${ended.reason ?? ""}`.trim();
    expect(verdict, "law 6: what is as good as stable is not sent back").not.toMatch(/^RolledBack/);
  } finally {
    await noisy.load.stop();
  }

  const broken = await UnderTraffic.start(server, "law-broken", { concurrency: 8 });
  try {
    await broken.registerBroken("v2.0-throws");
    const ended = await broken.rollsOut("v2.0-throws", {}, 30_000).catch(() => null);
    expect(ended, "law 6: what fails more often than stable is sent back").toMatchObject({
      phase: "RolledBack",
      reason: expect.stringMatching(/^errorRate: /),
    });
    expect(broken.load.failures, "law 5: no caller sees what the candidate fails").toEqual([]);
  } finally {
    await broken.load.stop();
  }
}
