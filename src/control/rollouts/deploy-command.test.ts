import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { deployBodySchema } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { EndpointEvent } from "../../core/rollout/index.ts";
import { deploy } from "./deploy-command.ts";

/** Deploys v1.2, if v1.1 serves; `meanwhile` happens before the command has its turn. */
async function deployed(of: Scenario, meanwhile: () => unknown): Promise<string> {
  const version = (text: string): unknown => {
    const found = of.version(text.replace(/^.*@/, ""));
    return { ...found, model: of.state.identity.model };
  };
  const controller = {
    get state() {
      return of.state;
    },
    hasTaken: () => false,
    command: async (event: () => Promise<EndpointEvent>) => {
      meanwhile();
      await event();
    },
  };
  const endpoints = {
    ofModel: () => [{ controller }],
    chooser: { factsAbout: () => Promise.reject(new Error("it goes ahead")) },
    deps: {
      clock: { monotonic: () => of.now, now: () => of.now },
      select: (_model: string, text: string) => Promise.resolve(version(text)),
      resolve: (text: string) => Promise.resolve(version(text)),
    },
  };
  const body = { reference: "fraud@v1.2", ifCurrent: "v1.1", actor: "ann", force: true };
  return deploy(endpoints as never, deployBodySchema.parse(body), "op").then(
    () => "deployed",
    (error: unknown) => LastgoodError.from(error).code,
  );
}

const two = (): Scenario => scenario().stable("v1.0").stable("v1.1").registers("v1.2");

test("--if-current is what serves when the command has its turn, not when it came", async () => {
  const rolledBack = two();
  expect(await deployed(rolledBack, () => rolledBack.rollsBack().settles())).toBe(
    "current.mismatch",
  );
  expect(await deployed(two(), () => undefined)).not.toBe("current.mismatch");
  const canary = scenario().stable("v1.0").canary("v1.1").registers("v1.2");
  expect(await deployed(canary, () => undefined), "a candidate does not serve yet").toBe(
    "current.mismatch",
  );
});
