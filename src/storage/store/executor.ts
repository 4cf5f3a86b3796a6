import type { Kysely } from "kysely";

import type { Tables } from "./tables.ts";

/** A database, or a transaction of it. */
export type Executor = Kysely<Tables>;

/** Most rows of one page. */
const LONGEST_PAGE = 10_000;
const PAGE = 100;

/** Runs `work` in the transaction it is in already, or in one of its own. */
export async function atomically<T>(
  executor: Executor,
  work: (transaction: Executor) => Promise<T>,
): Promise<T> {
  if (executor.isTransaction) return work(executor);
  return executor.transaction().execute(work);
}

/** How many rows a page may hold. */
export function pageLimit(asked: number | undefined): number {
  return Math.min(Math.max(asked ?? PAGE, 1), LONGEST_PAGE);
}
