import * as z from "zod";

const settings = z.object({
  SIMULATION_SEED: z.coerce.number().int().optional(),
  SIMULATION_RUNS: z.coerce.number().int().positive().optional(),
});

/** Of the histories that every change is tried on. */
const SEED = 20_261_128;

/** What a simulation is run with. */
export interface SimulationRun {
  readonly seed: number;
  readonly runs: number;
  /** Longest that it may take, ms: a hundred times what it needs. */
  readonly timeoutMs: number;
}

/**
 * The seed and the number of histories: of the environment (`SIMULATION_SEED`, `SIMULATION_RUNS`), else
 * these. A change is tried on the same histories each time; a soak (`tools/soak.ts`) looks for new ones.
 */
export function simulationRun(runs: number): SimulationRun {
  const given = settings.parse(process.env);
  const asked = given.SIMULATION_RUNS ?? runs;
  return { seed: given.SIMULATION_SEED ?? SEED, runs: asked, timeoutMs: 120_000 + asked * 10_000 };
}
