import * as z from "zod";

const settings = z.object({
  SIMULATION_SEED: z.coerce.number().int().optional(),
  SIMULATION_RUNS: z.coerce.number().int().positive().optional(),
  SIMULATION_SCALE: z.coerce.number().int().positive().default(1),
});

/** Of the histories that every change is tried on. */
const SEED = 20_261_128;

function anySeed(): number {
  return Math.trunc(Math.random() * 2 ** 31);
}

/** What a simulation is run with. */
export interface SimulationRun {
  readonly seed: number;
  readonly runs: number;
  /** Longest that it may take, ms: a hundred times what it needs. */
  readonly timeoutMs: number;
}

/**
 * The seed and the number of histories: of the environment (`SIMULATION_SEED`, `SIMULATION_RUNS`),
 * else the given number, `SIMULATION_SCALE` times. A change is tried on the same histories each time;
 * a soak looks for new ones, with another seed each time. Whoever runs it says the seed.
 */
export function simulationRun(runs: number): SimulationRun {
  const given = settings.parse(process.env);
  const asked = given.SIMULATION_RUNS ?? runs * given.SIMULATION_SCALE;
  return {
    seed: given.SIMULATION_SEED ?? (given.SIMULATION_SCALE === 1 ? SEED : anySeed()),
    runs: asked,
    timeoutMs: 120_000 + asked * 10_000,
  };
}
