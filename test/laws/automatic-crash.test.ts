/**
 * Who decides, and who counts, dies in the middle of a rollout: what was seen is not lost, and the
 * candidate goes back once. What kills its own process is taken out without anybody who decides.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Assessment } from "../../src/core/analysis/index.ts";
import type { HistoryEntry, RolloutView } from "../../src/core/api/index.ts";
import { gatewayStatus, rollbacksIn } from "../support/iris-endpoint.ts";
import { checkAwayOverBake } from "../support/law-checks/away-over-bake.ts";
import { oipBody } from "../support/load.ts";
import { isRunning, startServer, until, type TestServer } from "../support/server.ts";
import { quickCanary, UnderTraffic } from "../support/under-traffic.ts";

let server: TestServer;
const started: UnderTraffic[] = [];

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  await Promise.all(started.map(({ load }) => load.stop()));
  await server.destroy();
});

/** Weighed every 2 s: nothing is decided before something is killed. */
const SLOWLY = quickCanary({
  analysis: { flush: "2s" },
  rollout: { canary: { steps: [{ weight: "50%", until: { time: "60s" } }] }, bake: "60s" },
});

/** Its rollout, once it was sent back. */
function ended(on: UnderTraffic): Promise<RolloutView> {
  return until(
    "it is back",
    async () => {
      const { lastRollout } = await on.view();
      return lastRollout?.phase === "RolledBack" && lastRollout;
    },
    90_000,
  );
}

/** Ends the process of this kind, and waits until another one has its place. */
async function killed(program: "control" | "gateway"): Promise<void> {
  const [pid] = await until(
    `the ${program}`,
    () => server.pids[program].length > 0 && server.pids[program],
  );
  if (pid === undefined) throw new Error(`there is no ${program}`);
  process.kill(pid, "SIGKILL");
  await until("its end", () => !isRunning(pid));
  await until(
    `another ${program}`,
    () => server.pids[program].some((each) => each !== pid),
    30_000,
  );
}

function evidenceOf(decision: HistoryEntry | undefined): Assessment {
  const evidence = decision?.data["evidence"] as { readonly assessment: Assessment } | undefined;
  if (evidence === undefined) throw new Error("nothing was decided by evidence");
  return evidence.assessment;
}

describe("in the middle of a canary of a version that throws", () => {
  test("the control plane is killed, twice: what the gateway kept meanwhile sends it back, once", async () => {
    const on = await UnderTraffic.start(server, "no-control", { policy: SLOWLY });
    started.push(on);
    await on.registerBroken("v2.0-throws");
    await on.begin("v2.0-throws");
    await killed("control");
    await killed("control");
    await on.wasSentBackBy("errorRate", "v2.0-throws", await ended(on));
    const decisions = await on.decisions();
    expect(decisions).toHaveLength(1);
    expect(evidenceOf(decisions[0]).gaps).toBe(0);
    expect(rollbacksIn(await on.history())).toHaveLength(1);
    await on.load.stop();
  }, 150_000);

  test("the gateway is killed: callers lose only their connections, and it is sent back, once", async () => {
    const on = await UnderTraffic.start(server, "no-gateway", { policy: SLOWLY });
    started.push(on);
    await on.registerBroken("v2.0-throws");
    await on.begin("v2.0-throws");
    await killed("gateway");
    const { reason } = await ended(on);
    expect((await on.view()).current?.version).toBe("v1.1");
    expect(reason).toMatch(/^errorRate: /);
    expect(await on.decisions()).toHaveLength(1);
    expect(rollbacksIn(await on.history())).toHaveLength(1);
    await on.load.stop();
    const answered = on.load.answers.filter(({ status }) => status !== null);
    // While it starts it may say that nothing is loaded yet.
    expect(answered.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
    expect(answered.at(-1)).toMatchObject({ status: 200, version: "v1.1" });
  }, 150_000);
});

test("the control plane is away over the end of a bake: what failed meanwhile goes back by what the gateway kept, what stayed good is stable", async () => {
  await expect(checkAwayOverBake(server)).resolves.toBeUndefined();
}, 120_000);

test("a version that kills its process is taken out while the control plane is stopped, which hears of it once", async () => {
  const on = await UnderTraffic.start(server, "deadly", {
    policy: SLOWLY,
    file: "../test/fixtures/onnx/doubles.onnx",
    bodies: Array.from({ length: 50 }, (_, x) => oipBody([x], "x")),
  });
  started.push(on);
  const inputExample = { inputs: { x: [[1], [2]] } };
  await on.register("v1.2", "../test/fixtures/onnx/moody.onnx", inputExample);
  await on.begin("v1.2");
  const [control] = server.pids.control;
  if (control === undefined) throw new Error("there is no control plane");
  process.kill(control, "SIGSTOP");
  try {
    // Each another one: the same again would be one caller's fault.
    let deaths = 0;
    for (let turn = 0; deaths < 3; turn += 1) {
      const { status } = await on.score(oipBody([-3 - turn / 1_000], "x"));
      if (status !== 200) deaths += 1;
    }
    const override = await until(
      "the gateway has gone back",
      async () => {
        const { overrides } = await gatewayStatus(server);
        return overrides.find(({ endpoint }) => endpoint === "deadly");
      },
      30_000,
    );
    expect(override).toMatchObject({ from: 2, to: 1, actor: "lastgood", trigger: "limit" });
    expect(await on.score(oipBody([1], "x"))).toMatchObject({ status: 200, version: "v1.1" });
  } finally {
    process.kill(control, "SIGCONT");
  }
  const { reason } = await ended(on);
  expect(reason).toMatch(/^3 crashes of the model process within 60 s: /);
  await on.isBackFrom("v1.2", reason);
  expect(rollbacksIn(await on.history())).toMatchObject([
    { actor: "lastgood", data: { trigger: "limit", via: "gateway", to: { version: "v1.1" } } },
  ]);
}, 120_000);
