/** A thread that simulates what it is sent, and answers with the alarms of each run. */
import { parentPort } from "node:worker_threads";

import { HORIZON, rulesOf } from "./cells.ts";
import type { Batch, BatchAlarms } from "./simulate-cells.ts";
import { SeededIntegers, simulate } from "./stream.ts";

parentPort?.on("message", ({ cell, index, seed, from, to }: Batch) => {
  const rules = rulesOf(cell);
  const runs = Array.from({ length: to - from }, (_, offset) =>
    simulate(cell, rules, HORIZON, new SeededIntegers(seed, index, from + offset)),
  );
  const answer: BatchAlarms = { index, runs };
  parentPort?.postMessage(answer);
});
