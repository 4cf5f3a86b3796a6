import type { Transaction } from "kysely";

import type { Tables } from "../tables.ts";

/**
 * One numbered step of the store's form. A `schema` step changes tables, a `data` step only rows; a
 * data step may run twice without harm. Steps are only ever added.
 */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly kind: "schema" | "data";
  /** The lowest step number that code must know to open the store after this one. */
  readonly oldestCode: number;
  readonly up: (transaction: Transaction<Tables>) => Promise<void>;
}
