/** When something that failed is tried again; plain data. */
export interface Retry {
  /** When it failed first, ms since 1970. */
  readonly since: number;
  /** How often it was tried by now. */
  readonly tries: number;
  /** When it was last tried, ms since 1970. */
  readonly triedAt: number;
  /** When it is tried again, ms since 1970. */
  readonly nextAt: number;
}

const FIRST_WAIT_MS = 5_000;
/** A way back moves traffic when it is tried. */
export const MOST_RETURN_WAIT_MS = 300_000;
/** A switch that waits for the end of an outage moves nothing. */
export const MOST_OUTAGE_WAIT_MS = 60_000;

/** The first try failed: the next one comes after 5 s. */
export function failedFirst(now: number): Retry {
  return { since: now, tries: 1, triedAt: now, nextAt: now + FIRST_WAIT_MS };
}

/** One more try: the wait doubles each time, up to `mostMs`. */
export function failedAgain<R extends Retry>(retry: R, now: number, mostMs: number): R {
  const tries = retry.tries + 1;
  // Beyond 2^10 it is more than any limit, and a number all the same.
  const waitMs = Math.min(mostMs, FIRST_WAIT_MS * 2 ** Math.min(tries - 1, 10));
  return { ...retry, tries, triedAt: now, nextAt: now + waitMs };
}

/** Whether it is time; a clock that was set back makes nobody wait for it to catch up. */
export function isRetryDue({ triedAt, nextAt }: Retry, now: number): boolean {
  return now >= nextAt || now < triedAt;
}
