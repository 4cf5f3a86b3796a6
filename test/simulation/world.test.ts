/** The real control plane and gateways through random histories, with the seven laws as invariants. */
import fc from "fast-check";
import { test } from "vitest";

import { simulationRun } from "./simulation-run.ts";
import { history } from "./world/happenings.ts";
import { runHistory } from "./world/run-history.ts";

const { seed, runs, timeoutMs } = simulationRun(250);

test(
  `no history of the whole system breaks a law (${runs} from seed ${seed})`,
  () =>
    fc.assert(
      fc.asyncProperty(history, async (one) => {
        await runHistory(one);
      }),
      { seed, numRuns: runs },
    ),
  timeoutMs,
);
