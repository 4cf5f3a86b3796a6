/** Law 6 taken out: a hard limit that is reached is looked at, and nothing is done. */
import type * as original from "../../../../src/serving/gateway/breaker.ts";

// What the sabotage does not replace.
export * from "../../../../src/serving/gateway/breaker.ts";

export const decide: typeof original.decide = () => ({ act: false, why: null });
