import type * as original from "../../../../src/app/cli/roll-back.ts";
/** Law 7 taken out: a rollback goes through the control plane or not at all. */
import type { RollbackBody, RolledBack } from "../../../../src/core/api/index.ts";

// What the sabotage does not replace.
export * from "../../../../src/app/cli/roll-back.ts";

export const rollBack: typeof original.rollBack = async (
  session,
  body: RollbackBody,
): Promise<RolledBack> => {
  const { client } = await session.connect();
  return client.rollback(body);
};
