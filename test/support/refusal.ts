import { LastgoodError, type ErrorCode } from "../../src/core/errors/index.ts";

/** What it refuses with, or null where it does not. @throws what is no LastgoodError. */
export function refusalOf(run: () => unknown): LastgoodError | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof LastgoodError) return error;
    throw error;
  }
}

/** The code it refuses with, or null where it does not. @throws what is no LastgoodError. */
export function codeOf(run: () => unknown): ErrorCode | null {
  return refusalOf(run)?.code ?? null;
}
