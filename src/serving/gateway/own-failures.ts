import type { LastgoodError } from "../../core/errors/index.ts";

const REMEMBERED = 10_000;

/** 5xx that the version or the caller is answerable for; every other 5xx is the gateway's own. */
const OTHERS_ERRORS: ReadonlySet<string> = new Set([
  "runtime.failed",
  "runtime.timeout",
  "protocol.unsupported",
]);

/** Whether it is a 5xx of the gateway's own making. */
export function isOwn(error: LastgoodError): boolean {
  return error.traits.http >= 500 && !OTHERS_ERRORS.has(error.code);
}

/** When requests were admitted that the gateway itself then failed: dropped, or a 5xx of its own. */
export class OwnFailures {
  readonly #admitted: number[] = [];

  /** `admittedAt` is CLOCK_MONOTONIC, ms. */
  note(admittedAt: number): void {
    this.#admitted.push(admittedAt);
    if (this.#admitted.length > REMEMBERED) this.#admitted.shift();
  }

  /** How many of them were admitted since then. */
  since(time: number): number {
    return this.#admitted.filter((admittedAt) => admittedAt >= time).length;
  }
}
