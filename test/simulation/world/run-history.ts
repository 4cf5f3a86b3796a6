import { World, type Sabotage, type Told } from "./world.ts";

/** A law that a history broke, with all that happened until then. */
export class LawBroken extends Error {
  constructor(world: World, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`${why}\n  ${world.trace.join("\n  ")}`, { cause });
  }
}

/** Lives one history through. @throws LawBroken */
export async function runHistory(history: Told, sabotage?: Sabotage): Promise<World> {
  const world = new World({ ...history, ...(sabotage === undefined ? {} : { sabotage }) });
  try {
    await world.live(history);
    return world;
  } catch (error) {
    throw new LawBroken(world, error);
  }
}
