import * as z from "zod";

const settings = z.object({
  SIMULATION_SEED: z.coerce.number().int().optional(),
  SIMULATION_RUNS: z.coerce.number().int().positive().optional(),
  SIMULATION_SCALE: z.coerce.number().int().positive().default(1),
});

/** What a simulation is run with. */
export interface SimulationRun {
  readonly seed: number;
  readonly runs: number;
  /** Longest that it may take, ms: a hundred times what it needs. */
  readonly timeoutMs: number;
}

/**
 * The seed and the number of histories: of the environment (`SIMULATION_SEED`, `SIMULATION_RUNS`),
 * else another seed each time and the given number, `SIMULATION_SCALE` times. Whoever runs it says
 * the seed.
 */
export function simulationRun(runs: number): SimulationRun {
  const given = settings.parse(process.env);
  const asked = given.SIMULATION_RUNS ?? runs * given.SIMULATION_SCALE;
  return {
    seed: given.SIMULATION_SEED ?? Math.trunc(Math.random() * 2 ** 31),
    runs: asked,
    timeoutMs: 120_000 + asked * 10_000,
  };
}
