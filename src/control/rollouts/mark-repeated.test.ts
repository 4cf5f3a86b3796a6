/** A verdict is carried to the endpoints, and its control plane dies before it has answered. */
import { afterEach, beforeEach, expect, test } from "vitest";

import { storeJudgedRollout } from "../../../test/support/judged-rollout.ts";
import { prepare, store, tidyUp } from "../../../test/support/registry-fixture.ts";
import { rolloutsOf } from "../../../test/support/rollouts-fixture.ts";
import type { Rollouts } from "./index.ts";

let rollouts: Rollouts;

async function startAgain(): Promise<void> {
  rollouts = rolloutsOf();
  await rollouts.start();
}

beforeEach(async () => {
  await prepare();
  await store.meta.beginEpoch();
  await storeJudgedRollout(store);
  await startAgain();
});

afterEach(async () => {
  rollouts.stop();
  await tidyUp();
});

/** What v1.1 is at the endpoint after the verdict. */
async function marked(status: "stable" | "failed", operation: string): Promise<string | undefined> {
  const body = { status, reason: null, actor: "ann" };
  await rollouts.versionMarked("fraud", 2, body, operation);
  return (await rollouts.endpoint("fraud-prod")).revisions.find(({ revision }) => revision === 2)
    ?.status;
}

test("repeated under its key it is done once, whatever somebody else has said since", async () => {
  expect(await marked("stable", "k1 00")).toBe("stable");
  rollouts.stop();
  await startAgain();
  expect(await marked("stable", "k1 00"), "its answer did not arrive").toBe("stable");
  expect(await marked("failed", "k2 00")).toBe("failed");
  expect(await marked("stable", "k1 00"), "it arrives late").toBe("failed");
  expect(await marked("stable", "k3 00"), "a new one").toBe("stable");
  const { entries } = await rollouts.history("fraud-prod", 0, 100);
  expect(entries.filter(({ kind }) => kind === "revision.marked")).toHaveLength(3);
});
