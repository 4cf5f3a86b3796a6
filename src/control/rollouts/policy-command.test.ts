/** Applying policies to endpoints on a real store; no gateway is connected. */
import { afterEach, beforeEach, expect, test } from "vitest";

import {
  prepare,
  register,
  registry,
  store,
  tidyUp,
} from "../../../test/support/registry-fixture.ts";
import { rolloutsOf } from "../../../test/support/rollouts-fixture.ts";
import { deployBodySchema, type AppliedPolicy, type Deployed } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Rollouts } from "./index.ts";

let rollouts: Rollouts;

beforeEach(async () => {
  await prepare();
  await store.meta.beginEpoch();
  await register("2", "v1.0");
  rollouts = rolloutsOf();
});

afterEach(async () => {
  rollouts.stop();
  await tidyUp();
});

function apply(
  policy: Record<string, unknown>,
  options: { readonly endpoint?: string; readonly dryRun?: boolean } = {},
): Promise<AppliedPolicy> {
  const { endpoint = "fraud-prod", dryRun = false } = options;
  return rollouts.applyPolicy(endpoint, { policy, dryRun, actor: "ann", reason: "calmer" });
}

function rehearse(body: Record<string, unknown>): Promise<Deployed> {
  return rollouts.deploy(
    deployBodySchema.parse({ reference: "fraud@v1.0", actor: "ann", dryRun: true, ...body }),
  );
}

async function refusal(work: Promise<unknown>): Promise<LastgoodError> {
  return work.then(
    () => new LastgoodError("internal", "it was accepted"),
    (error: unknown) => LastgoodError.from(error),
  );
}

async function kinds(endpoint = "fraud-prod"): Promise<readonly string[]> {
  return (await store.history.list(endpoint)).map((entry) => entry.kind);
}

test("a policy makes the endpoint it is for, and is in force there", async () => {
  const applied = await apply({ model: "fraud", rollout: { bake: "10m" } });
  expect(applied).toMatchObject({
    endpoint: "fraud-prod",
    created: true,
    changed: true,
    changes: [{ key: "rollout.bake", before: "1h", after: "10m" }],
    policy: { name: "fraud-prod", environment: "production" },
    dryRun: false,
  });
  expect(rollouts.policy(null)).toEqual({
    endpoint: "fraud-prod",
    isDefault: false,
    policy: applied.policy,
  });
  expect(await kinds()).toEqual(["endpoint.created", "policy.applied"]);
  const [, entry] = await store.history.list("fraud-prod");
  expect(entry).toMatchObject({
    actor: "ann",
    reason: "calmer",
    data: { before: null, after: { rollout: { bake: "10m" } } },
  });
  expect(await rollouts.endpoint("fraud-prod")).toMatchObject({ current: null, revisions: [] });
});

test("what was shown, applied again, changes nothing", async () => {
  await apply({ model: "fraud", rollout: { canary: {} } });
  const { policy } = rollouts.policy("fraud-prod");
  expect(await apply(policy)).toMatchObject({ created: false, changed: false, changes: [] });
  expect(await kinds()).toHaveLength(2);
});

test("a dry run says the same and leaves nothing behind", async () => {
  const said = await apply({ model: "fraud", rollout: { bake: "10m" } }, { dryRun: true });
  expect(said).toMatchObject({ created: true, changed: true, dryRun: true });
  expect(await kinds()).toEqual([]);
  expect((await refusal(apply({ model: "fraud", rollot: {} }, { dryRun: true }))).code).toBe(
    "config.invalid",
  );
});

test("a policy outlives the control plane; an endpoint that has none is under the defaults", async () => {
  await apply({ model: "fraud", rollout: { bake: "10m" } });
  const before = rollouts.policy("fraud-prod");
  rollouts.stop();
  rollouts = rolloutsOf();
  await rollouts.start();
  expect(rollouts.policy("fraud-prod")).toEqual(before);
  const [record] = await store.endpoints.list();
  await store.endpoints.save({
    name: "fraud-prod" as never,
    model: "fraud" as never,
    state: { ...(record?.state as object), policy: null },
    revisionOfState: record?.revisionOfState ?? 0,
    entries: [],
  });
  rollouts.stop();
  rollouts = rolloutsOf();
  await rollouts.start();
  expect(rollouts.policy(null)).toMatchObject({
    isDefault: true,
    policy: { rollout: { bake: "1h" } },
  });
  expect(await apply({ model: "fraud" })).toMatchObject({ changed: true, changes: [] });
  expect(rollouts.policy(null).isDefault).toBe(false);
});

test("a policy that is for something else is refused", async () => {
  await apply({ model: "fraud" });
  await register("3", "v1.0", { model: "iris" });
  const refusals = [
    [apply({ model: "iris" }), "endpoint.other-model", "fraud-prod serves fraud"],
    [apply({ model: "frad" }, { endpoint: "x" }), "model.not-found", "frad"],
    [apply({ model: "fraud", name: "other" }), "config.invalid", "for other, not for fraud-prod"],
    [
      apply({ model: "fraud", environment: "staging" }),
      "config.invalid",
      "stands in production, the policy says staging",
    ],
    [apply({ model: "fraud", rollout: { bake: 3 } }), "config.invalid", "rollout.bake: is not"],
  ] as const;
  for (const [work, code, words] of refusals) {
    const error = await refusal(work);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    expect(error.hint).toBeDefined();
  }
  expect((await store.endpoints.list()).map(({ name }) => name)).toEqual(["fraud-prod"]);
});

test("a deploy goes to the endpoint of the policy that comes with it, and says what it changes", async () => {
  const policy = { name: "calm", model: "fraud", environment: "staging", rollout: { bake: "9m" } };
  expect(await rehearse({ policy })).toMatchObject({
    endpoint: "calm",
    started: true,
    notes: ["policy would be applied: rollout.bake"],
  });
  expect(await kinds("calm")).toEqual([]);
  expect(await rehearse({ policy: { rollout: {} } })).toMatchObject({ endpoint: "fraud-prod" });
  const refusals = [
    [rehearse({ policy, endpoint: "other" }), "config.invalid"],
    [rehearse({ policy, environment: "production" }), "config.invalid"],
    [rehearse({ policy: { model: "iris" } }), "endpoint.other-model"],
    [rehearse({ policy: { rollout: { bake: 1 } } }), "config.invalid"],
  ] as const;
  for (const [work, code] of refusals) expect((await refusal(work)).code).toBe(code);
});

test("a deploy whose version is refused applies no policy", async () => {
  await apply({ model: "fraud" });
  await registry.mark(await registry.version("fraud", "v1.0"), {
    status: "failed",
    reason: "wrong",
    actor: "ann",
  });
  const error = await refusal(rehearse({ dryRun: false, policy: { rollout: { bake: "9m" } } }));
  expect(error.code).toBe("version.barred");
  expect(await kinds()).toEqual(["endpoint.created", "policy.applied"]);
});
