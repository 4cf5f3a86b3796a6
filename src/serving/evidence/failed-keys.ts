import { OUTCOME } from "./tally.ts";

/** Keys remembered; the ones that failed longest ago are forgotten first. */
const REMEMBERED = 100_000;
const BAD = OUTCOME.error | OUTCOME.rejected;
const OF_ERRORS = OUTCOME.error | OUTCOME.invalid | OUTCOME.late | OUTCOME.fallbackFailed;

/**
 * Sticky keys that the candidate has failed. A key stays with its arm for the whole rollout: what is
 * wrong with its inputs, or its caller, fails again and again in one arm, whichever version serves it.
 * So a key's failures are one event, unless stable answered the very request that the candidate
 * failed: that is the candidate's own doing each time.
 */
export class FailedKeys {
  readonly #known = new Map<string, number>();

  /** What of a key's outcome in an interval counts; null: it is left out. */
  counted(key: string, outcome: number): number | null {
    const bad = outcome & BAD;
    if (bad === 0) return outcome;
    const known = this.#known.get(key) ?? 0;
    this.#known.delete(key);
    this.#known.set(key, known | bad);
    if (this.#known.size > REMEMBERED) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    const isOwn = (outcome & OUTCOME.fallback) !== 0;
    const again = bad & known & ~(isOwn ? OUTCOME.error : 0);
    if (again === 0) return outcome;
    if (again === bad) return null;
    return outcome & ~((again & OUTCOME.error) === 0 ? OUTCOME.rejected : OF_ERRORS);
  }
}
