import * as z from "zod";

const settings = z.object({
  SIMULATION_SEED: z.coerce.number().int().optional(),
  SIMULATION_RUNS: z.coerce.number().int().positive().optional(),
});

/** What a simulation is run with. */
export interface SimulationRun {
  readonly seed: number;
  readonly runs: number;
}

/**
 * The seed and the number of histories: of the environment (`SIMULATION_SEED`, `SIMULATION_RUNS`),
 * else another seed each time and the given number. A failure prints the seed.
 */
export function simulationRun(runs: number): SimulationRun {
  const { SIMULATION_SEED: seed, SIMULATION_RUNS: asked } = settings.parse(process.env);
  return { seed: seed ?? Math.trunc(Math.random() * 2 ** 31), runs: asked ?? runs };
}
