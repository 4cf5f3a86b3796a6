/** Which versions an endpoint would miss. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { needs, withinReach } from "./version-needs.ts";

/** What is said of each version, by name. */
function said(of: Scenario, ask: typeof needs): Readonly<Record<string, readonly string[]>> {
  const { targets } = of.choice();
  return Object.fromEntries(
    of.versions.map(({ name, sequence }) => [name ?? "", ask(of.state, targets, sequence)]),
  );
}

test("what serves, what is rolled out and what it came from are needed; other targets are within reach", () => {
  const of = scenario().stable("v0.8").stable("v0.9").stable("v1.0").canary("v1.1");
  expect(said(of, needs)).toEqual({
    "v0.8": [],
    "v0.9": [],
    "v1.0": ["fraud-prod serves it"],
    "v1.1": ["fraud-prod is rolling it out"],
  });
  expect(said(of, withinReach)).toMatchObject({ "v0.9": ["fraud-prod would go back to it"] });
  of.rollsBack().settles();
  expect(said(of, needs)).toMatchObject({ "v0.9": ["fraud-prod would go back to it"], "v1.1": [] });
  expect(said(of, withinReach)).toMatchObject({
    "v1.1": ["fraud-prod could take its last rollback back"],
  });
});

test("needed is what a rollback would go to, not the newest stable revision before it", () => {
  const of = scenario().stable("v0.9").stable("v1.0").stable("v1.1").stable("v1.0");
  of.marks("v1.1", "failed").registers("v1.1", { status: "failed" });
  // Revision 2 has the content of what serves: nobody goes back to that.
  expect(of.choice().targets[0]?.version.name).toBe("v0.9");
  expect(said(of, needs)).toMatchObject({ "v0.9": ["fraud-prod would go back to it"], "v1.1": [] });
});
