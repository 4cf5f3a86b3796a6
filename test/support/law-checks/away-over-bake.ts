import { expect } from "vitest";

import type { RolloutView } from "../../../src/core/api/index.ts";
import { oipBody } from "../load.ts";
import { heldOutRows } from "../rows.ts";
import { isRunning, until, type TestServer } from "../server.ts";
import { quickCanary, UnderTraffic } from "../under-traffic.ts";

/** Petals from here on are what `v2.0-throws` throws at, cm. */
const THROWS_FROM = 5;
const BAKE_MS = 2_000;

const POLICY = quickCanary({
  rollout: {
    canary: { steps: [{ weight: "50%", until: { requests: 1, time: "250ms" } }] },
    bake: `${BAKE_MS}ms`,
    holdback: "20%",
  },
  // What this is about: no burst of the machine's holds it meanwhile.
  analysis: { metrics: { latency: { off: true }, drift: { off: true } } },
});

const bodiesOf = (fails: boolean): readonly string[] =>
  heldOutRows("iris")
    .filter(({ features }) => (features[2] ?? 0) >= THROWS_FROM === fails)
    .map(({ features }) => oipBody(features));

/** Deploys a version; resolves in its bake, with what ends it. */
async function bakes(
  on: UnderTraffic,
  version: string,
  file: string,
): Promise<() => Promise<RolloutView>> {
  await on.register(version, file);
  const { rollout } = await on.begin(version);
  // While the switch to it is verified the bake has not begun.
  const begun = async (): Promise<boolean> => {
    const { rollout: now } = await on.view();
    return now?.phase === "Baking" && now.bakeEndsAt !== null;
  };
  await until(`${on.name} bakes`, begun);
  return () => on.endOf(rollout?.id ?? "", 30_000);
}

/** Nobody is left who could start a control plane, nor one that runs. */
async function loseControl(server: TestServer): Promise<void> {
  for (const pid of [server.pid, ...server.pids.control]) {
    process.kill(pid, "SIGKILL");
    await until("its end", () => !isRunning(pid));
  }
}

/**
 * Law 7: while the control plane is away over the end of a bake, one candidate begins to fail. When it is
 * back, what the gateway kept sends that one back; one that stayed good is stable.
 */
export async function checkAwayOverBake(server: TestServer): Promise<void> {
  const bodies = [...bodiesOf(false)];
  const options = { policy: POLICY, bodies, pauseMs: 5 };
  const failing = await UnderTraffic.start(server, "law-turns-bad", options);
  const sound = await UnderTraffic.start(server, "law-stays-good", options);
  try {
    const [failed, succeeded] = await Promise.all([
      bakes(failing, "v2.0", "iris/v2.0-throws.onnx"),
      bakes(sound, "v1.2", "iris/v1.1.onnx"),
    ]);
    await loseControl(server);
    bodies.push(...bodiesOf(true));
    await new Promise((resolve) => setTimeout(resolve, BAKE_MS));
    expect(failing.load.answers.filter(({ fallback }) => fallback !== null).length).toBeGreaterThan(
      50,
    );
    await server.start();
    expect(
      await failed(),
      "law 7: what failed its requests while nobody decided is not stable",
    ).toMatchObject({ phase: "RolledBack", reason: expect.stringMatching(/^errorRate: /) });
    expect(await succeeded(), "law 7: what stayed good is stable").toMatchObject({
      phase: "Succeeded",
    });
    expect((await failing.decisions()).at(-1)).toMatchObject({
      data: { trigger: "analysis", evidence: { assessment: { gaps: 0 } } },
    });
    expect((await failing.view()).current?.version).toBe("v1.1");
    expect([...failing.load.failures, ...sound.load.failures]).toEqual([]);
  } finally {
    await Promise.all([failing.load.stop(), sound.load.stop()]);
  }
}
