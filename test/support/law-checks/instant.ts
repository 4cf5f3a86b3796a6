import { expect } from "vitest";

import type { RolledBack } from "../../../src/core/api/index.ts";
import { isRunning, type TestServer } from "../server.ts";
import { stage } from "../stage.ts";

/** Law 1: what a rollback would go to is loaded, in a process of its own, also after the bake. */
export async function checkInstant(server: TestServer): Promise<void> {
  const instant = stage(server, "law-instant");
  await instant.stable("v1.0", "v1.1", "v1.2");

  const ready = await instant.unloadedTo(2);
  expect(
    ready.map(({ revision }) => revision).toSorted((a, b) => a - b),
    "law 1: keepWarm is 1 after the bake",
  ).toEqual([2, 3]);
  const pids = new Set(ready.flatMap(({ pid }) => pid ?? []));
  expect(pids.size, "law 1: each loaded revision has a process of its own").toBe(2);
  expect([...pids].every(isRunning), "law 1: those processes are there").toBe(true);

  const { rollback } = await instant.view();
  expect(rollback, "law 1: the target is warm after the bake").toMatchObject({
    target: { version: "v1.1" },
    warm: true,
    expectedSeconds: 0,
  });
  const { value } = await instant.tell<RolledBack>("rollback", instant.name);
  expect(value, "law 1: the rollback is a switch, not a deployment").toMatchObject({
    to: { version: "v1.1" },
    warm: true,
    verified: true,
    failedRequests: 0,
  });
  const target = ready.find(({ revision }) => revision === 2);
  const serving = (await instant.loaded()).find(({ revision }) => revision === 2);
  expect(serving?.pid, "law 1: the target serves from the process it was warm in").toBe(
    target?.pid,
  );
}
