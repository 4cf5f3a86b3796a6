import { countKey, type Count } from "../../link/count/index.ts";

/** Totals of one key, counted in place. */
export interface CountCell {
  requests: number;
  errors: number;
  rejected: number;
}

/** Which cell a request is counted in. */
export interface CountAddress {
  readonly endpoint: string;
  readonly revision: number;
  readonly arm: Count["arm"];
  readonly interval: number;
}

/** Reports after which a cell that no longer changes is forgotten. */
const QUIET_REPORTS = 120;

/** Cumulative counts of one worker; no message per request, all that changed goes out together. */
export class CountBook {
  readonly #who: Pick<Count, "gateway" | "incarnation" | "worker">;
  readonly #cells = new Map<
    string,
    { readonly address: CountAddress; readonly cell: CountCell; sent: number; quiet: number }
  >();

  constructor(who: Pick<Count, "gateway" | "incarnation" | "worker">) {
    this.#who = who;
  }

  /** The cell of an address; the same object each time. */
  cell(address: CountAddress): CountCell {
    const key = countKey({ ...this.#who, ...address, requests: 0, errors: 0, rejected: 0 });
    const known = this.#cells.get(key);
    if (known !== undefined) return known.cell;
    const cell = { requests: 0, errors: 0, rejected: 0 };
    this.#cells.set(key, { address, cell, sent: 0, quiet: 0 });
    return cell;
  }

  /**
   * Totals that changed since the last report. A cell that stays quiet is forgotten when `isCurrent`
   * says that no request can reach it any more.
   */
  changed(isCurrent: (address: CountAddress) => boolean): Count[] {
    const changed: Count[] = [];
    for (const [key, entry] of this.#cells) {
      if (entry.cell.requests > entry.sent) {
        entry.sent = entry.cell.requests;
        entry.quiet = 0;
        changed.push({ ...this.#who, ...entry.address, ...entry.cell });
      } else if (isCurrent(entry.address)) entry.quiet = 0;
      else if ((entry.quiet += 1) > QUIET_REPORTS) this.#cells.delete(key);
    }
    return changed;
  }
}
