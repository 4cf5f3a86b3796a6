import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

import type { Cell } from "./cells.ts";
import type { Alarm } from "./stream.ts";

/** Some runs of a cell; run n draws from the seeds (seed, index, n), whichever thread has it. */
export interface Batch {
  readonly cell: Cell;
  readonly index: number;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/** Of each run the alarm of each rule, or null where it had none. */
export interface BatchAlarms {
  readonly index: number;
  readonly runs: readonly (readonly (Alarm | null)[])[];
}

const BATCH = 100;

function batches(cells: readonly Cell[], seed: number): Batch[] {
  return cells.flatMap((cell, index) =>
    Array.from({ length: Math.ceil(cell.runs / BATCH) }, (_, part) => ({
      cell,
      index,
      seed,
      from: part * BATCH,
      to: Math.min(cell.runs, (part + 1) * BATCH),
    })),
  );
}

/** The alarms of all runs by cell; a core is left to others where there is more than one. */
export async function simulateCells(
  cells: readonly Cell[],
  seed: number,
  progress: (share: number) => void,
): Promise<readonly (readonly (readonly (Alarm | null)[])[])[]> {
  const waiting = batches(cells, seed);
  const total = waiting.length;
  const found: (readonly (Alarm | null)[])[][] = cells.map(() => []);
  const work = async (): Promise<void> => {
    const thread = new Worker(join(import.meta.dirname, "thread.ts"));
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
      const answered = once(thread, "message");
      thread.postMessage(batch);
      const [{ index, runs }] = (await answered) as [BatchAlarms];
      found[index]?.push(...runs);
      progress(1 - waiting.length / total);
    }
    await thread.terminate();
  };
  await Promise.all(Array.from({ length: Math.max(1, availableParallelism() - 1) }, work));
  return found;
}
