import type { Fetch } from "../../client/index.ts";

/** How long a question goes unanswered before that is said, ms. */
const PATIENCE_MS = 5_000;

/**
 * A fetch that tells when a question is not answered yet: a server that is stopped keeps its connections
 * open, and silence must not be all that is seen of it. Changes take their time and are left alone.
 */
export function patientFetch(
  fetch: Fetch,
  onSilence: () => void,
  patienceMs: number = PATIENCE_MS,
): Fetch {
  return async (url, request = {}) => {
    if ((request.method ?? "GET") !== "GET") return fetch(url, request);
    const silence = setTimeout(onSilence, patienceMs);
    try {
      return await fetch(url, request);
    } finally {
      clearTimeout(silence);
    }
  };
}
