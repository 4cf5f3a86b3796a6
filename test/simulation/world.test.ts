/** The real control plane and gateways through random histories, with the seven laws as invariants. */
import fc from "fast-check";
import { expect, test } from "vitest";

import { simulationRun } from "./simulation-run.ts";
import { history } from "./world/happenings.ts";
import { World } from "./world/world.ts";

test("no history of the whole system breaks a law", async () => {
  const { seed, runs } = simulationRun(20);
  let failed: World | null = null;
  try {
    await fc.assert(
      fc.asyncProperty(history, async (one) => {
        const world = new World(one);
        try {
          await world.live(one);
        } catch (error) {
          failed = world;
          throw error;
        }
      }),
      { seed, numRuns: runs },
    );
  } catch (error) {
    const trace = (failed as World | null)?.trace ?? [];
    throw new Error(`${String(error)}\n${trace.join("\n")}`, { cause: error });
  }
  expect(failed).toBeNull();
}, 600_000);
