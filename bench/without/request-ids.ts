/** Built in place of `src/serving/gateway/request-id.ts`: every request of a worker has the same id. */
export { requestIdKey } from "../../src/serving/gateway/request-id.ts";

export class RequestIds {
  readonly #id: string;

  constructor(_key: string, subject: string, worker: number) {
    this.#id = `${subject}.0.${worker}.none.0`;
  }

  next(_now: number): string {
    return this.#id;
  }
}
