/** What doctor says of an endpoint. */
import { expect, test } from "vitest";

import { scenario } from "../../../test/support/rollout-scenario.ts";
import type { RevisionState } from "../../link/message/index.ts";
import { endpointChecks } from "./endpoint-check.ts";

const of = scenario().stable("v1.0");

function checks(serving: Pick<RevisionState, "state" | "why"> | null) {
  const state = serving as RevisionState | null;
  return endpointChecks({ state: of.state, choice: of.choice(), serving: state });
}

test("one whose revision is loaded is asked for its way back alone", () => {
  expect(checks({ state: "ready", why: null })).toMatchObject([{ level: "note" }]);
});

test.each([
  [{ state: "failed", why: "no launcher" } as const, "no launcher"],
  [{ state: "gone", why: null } as const, "no gateway"],
  [null, "no gateway"],
])("one that answers nothing is an error that says why: %o", (serving, why) => {
  const [first] = checks(serving);
  expect(first).toMatchObject({ ok: false, level: "error" });
  expect(first?.message).toContain(`v1.0 does not answer: ${why}`);
});

test("one that is being loaded is a warning", () => {
  expect(checks({ state: "loading", why: null })[0]).toMatchObject({ level: "warning" });
});
