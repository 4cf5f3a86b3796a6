import type { EndpointService } from "../../core/api/index.ts";

const PAGE = 500;
const COMPLETED = "rollback.completed";

/** Counts an endpoint's rollbacks from its history, reading each entry once. */
export class RollbackTotals {
  readonly #endpoints: Pick<EndpointService, "history">;
  readonly #read = new Map<string, number>();
  readonly #totals = new Map<string, Map<string, number>>();

  constructor(endpoints: Pick<EndpointService, "history">) {
    this.#endpoints = endpoints;
  }

  /** Rollbacks by endpoint and trigger, up to now. */
  async upToNow(
    endpoints: readonly string[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    for (const endpoint of endpoints) await this.#catchUp(endpoint);
    return this.#totals;
  }

  async #catchUp(endpoint: string): Promise<void> {
    const totals = this.#totals.get(endpoint) ?? new Map<string, number>();
    this.#totals.set(endpoint, totals);
    for (;;) {
      const after = this.#read.get(endpoint) ?? 0;
      const { entries } = await this.#endpoints.history(endpoint, after, PAGE);
      for (const entry of entries) {
        // Two scrapes at a time read the same page; each entry counts once.
        if (entry.sequence <= (this.#read.get(endpoint) ?? 0)) continue;
        this.#read.set(endpoint, entry.sequence);
        if (entry.kind !== COMPLETED) continue;
        const trigger = String(entry.data["trigger"]);
        totals.set(trigger, (totals.get(trigger) ?? 0) + 1);
      }
      if (entries.length < PAGE) return;
    }
  }
}
