import type { Executor } from "./executor.ts";
import type { StoreOrder } from "./store.ts";

/** The rising numbers as stored; both 0 in a store that was just made. */
export async function readOrder(executor: Executor): Promise<StoreOrder> {
  const rows = await executor
    .selectFrom("meta")
    .selectAll()
    .where("key", "in", ["generation", "epoch"])
    .execute();
  const number = (key: string): number => Number(rows.find((row) => row.key === key)?.value ?? 0);
  return { generation: number("generation"), epoch: number("epoch") };
}

/** Stores both numbers. */
export async function writeOrder(executor: Executor, order: StoreOrder): Promise<void> {
  for (const key of ["generation", "epoch"] as const) {
    const value = String(order[key]);
    await executor
      .insertInto("meta")
      .values({ key, value })
      .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
      .execute();
  }
}
