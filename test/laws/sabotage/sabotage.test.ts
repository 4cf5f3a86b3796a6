/**
 * Each law's check fails where the law's mechanism is taken out, and holds on the build that is
 * shipped: a check that cannot fail would promise nothing.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { build } from "../../../tools/build.ts";
import { DIST } from "../../support/gateway-harness.ts";
import { checkAwayOverBake } from "../../support/law-checks/away-over-bake.ts";
import { checkFallback, checkHardLimits } from "../../support/law-checks/fallback.ts";
import { checkInstant } from "../../support/law-checks/instant.ts";
import {
  checkCountsStatuses,
  checkGrpcSplit,
  checkLeavesNothing,
} from "../../support/law-checks/managed.ts";
import { checkNoRequestPays } from "../../support/law-checks/no-request-pays.ts";
import { checkNothingLost } from "../../support/law-checks/nothing-lost.ts";
import { checkOutlives } from "../../support/law-checks/outlives.ts";
import { checkProven } from "../../support/law-checks/proven.ts";
import { checkSound } from "../../support/law-checks/sound.ts";
import { checkVerified } from "../../support/law-checks/verified.ts";
import { startServer, type TestServer } from "../../support/server.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
/** Inside the checkout: the bundles load the engine from its node_modules. */
const BUILDS = join(ROOT, ".tmp", "sabotage");

const SABOTAGES = [
  {
    what: "law 1: nothing is kept warm after the bake",
    module: "src/control/rollouts/desired-route.ts",
    check: checkInstant,
    says: /^law 1: /,
  },
  {
    what: "law 2: every stored version is taken for proven",
    module: "src/control/proof/proofs.ts",
    check: checkProven,
    says: /^law 2: doctor proves the target now/,
  },
  {
    what: "law 3: nobody probes the public port",
    module: "src/serving/gateway/probe.ts",
    check: checkVerified,
    says: /^rollback law-verified/,
  },
  {
    what: "law 4: the hashes of a history cover nothing",
    module: "src/storage/history/chain.ts",
    check: checkNothingLost,
    says: /^law 4: an altered entry is found/,
  },
  {
    what: "law 5: a switch breaks off what is in flight",
    module: "src/serving/gateway/endpoint-book.ts",
    check: checkNoRequestPays,
    says: /^law 5: /,
  },
  {
    what: "law 5: nobody answers what the candidate fails, on a whole server",
    module: "src/serving/gateway/fallback.ts",
    check: checkSound,
    says: /^law 5: no caller sees what the candidate fails/,
  },
  {
    what: "law 6: chance sends a good version back",
    module: "src/core/analysis/engine.ts",
    check: checkSound,
    says: /^law 6: what is as good as stable is not sent back/,
  },
  {
    what: "law 6: no evidence sends a broken version back",
    module: "src/core/analysis/assess.ts",
    check: checkSound,
    says: /^law 6: what fails more often than stable is sent back/,
  },
  {
    what: "law 7: a rollback needs the control plane",
    module: "src/app/cli/roll-back.ts",
    check: checkOutlives,
    says: /^law 7: the rollback happens without the control plane/,
  },
  {
    what: "law 7: what happened meanwhile is forgotten",
    module: "src/core/rollout/override.ts",
    check: checkOutlives,
    says: /^law 7: what happened meanwhile is in history/,
  },
  {
    what: "law 7: the clock ends a bake that nobody looked at",
    module: "src/core/rollout/clock.ts",
    check: checkAwayOverBake,
    says: /^law 7: what failed its requests while nobody decided is not stable/,
  },
] as const;

/** Laws whose checks start what they need around the bundles by themselves: a gateway alone, or other servers too. */
const OTHER_SABOTAGES = [
  {
    what: "law 5: nobody answers what the candidate fails",
    module: "src/serving/gateway/fallback.ts",
    check: checkFallback,
    says: /^law 5: stable answers what the candidate fails/,
  },
  {
    what: "law 6: hard limits do nothing",
    module: "src/serving/gateway/breaker.ts",
    check: checkHardLimits,
    says: /^law 6: /,
  },
  {
    what: "managed servers: their children are left alone",
    module: "src/link/process-tree/process-tree.ts",
    check: checkLeavesNothing,
    says: /^managed servers: no child is left over/,
  },
  {
    what: "gRPC: the split is ignored",
    module: "src/serving/gateway/grpc-server.ts",
    check: checkGrpcSplit,
    says: /^gRPC: callers get what the split says/,
  },
  {
    what: "pass-through: a 5xx counts for nothing",
    module: "src/serving/runtime-passthrough/passthrough-client.ts",
    check: checkCountsStatuses,
    says: /^pass-through: a candidate that answers 500 is sent back/,
  },
] as const;

afterAll(() => rmSync(BUILDS, { recursive: true, force: true }));

async function onServer(
  dist: string | null,
  check: (server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startServer(dist === null ? {} : { dist });
  try {
    await check(server);
  } finally {
    await server.destroy();
  }
}

/** Builds with the module of this name in place of the law's; gives the folder of the bundles. */
async function buildWithout(module: string): Promise<string> {
  const name = module.split("/").at(-1) ?? "";
  const dist = join(BUILDS, name);
  const by = join("test/laws/sabotage/modules", name);
  await build({ outdir: dist, replace: [{ module, by }] });
  return dist;
}

test.each(SABOTAGES)("$what: its check fails, and holds without", async (sabotage) => {
  const dist = await buildWithout(sabotage.module);
  await expect(onServer(dist, sabotage.check)).rejects.toThrow(sabotage.says);
  await onServer(null, sabotage.check);
});

test.each(OTHER_SABOTAGES)("$what: its check fails, and holds without", async (sabotage) => {
  const dist = await buildWithout(sabotage.module);
  await expect(sabotage.check(dist)).rejects.toThrow(sabotage.says);
  await sabotage.check(DIST);
});
