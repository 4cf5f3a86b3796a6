/** Built in place of `src/link/request-id/request-id.ts`: every request of a worker has the same id. */
export { readRequestId, requestIdKey } from "../../src/link/request-id/request-id.ts";

export class RequestIds {
  readonly #id: string;

  constructor(_key: string, subject: string, worker: number) {
    this.#id = `${subject}.0.${worker}.none.0`;
  }

  next(_now: number): string {
    return this.#id;
  }
}
