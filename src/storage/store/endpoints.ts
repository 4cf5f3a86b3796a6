import { LastgoodError } from "../../core/errors/index.ts";
import type { EndpointName, ModelName } from "../../core/version/index.ts";
import { atomically, type Executor } from "./executor.ts";
import { historyStore } from "./history.ts";
import type { EndpointRecord, EndpointSave, EndpointSaved, EndpointStore } from "./store.ts";

async function read(executor: Executor, name: string | null): Promise<EndpointRecord[]> {
  let query = executor.selectFrom("endpoints").selectAll().orderBy("name");
  if (name !== null) query = query.where("name", "=", name);
  const records: EndpointRecord[] = [];
  for (const row of await query.execute()) {
    const head = await historyStore(executor).head(row.name);
    records.push({
      name: row.name as EndpointName,
      model: row.model as ModelName,
      state: JSON.parse(row.state) as unknown,
      revisionOfState: row.revision_of_state,
      historyHead: head?.hash ?? null,
    });
  }
  return records;
}

function conflictOver(save: EndpointSave): LastgoodError {
  return new LastgoodError(
    "internal",
    `the state of ${save.name} was saved by somebody else since revision ${save.revisionOfState} of it was read`,
    { details: { endpoint: save.name, revisionOfState: save.revisionOfState } },
  );
}

async function saveState(transaction: Executor, save: EndpointSave): Promise<number> {
  const next = {
    model: save.model,
    state: JSON.stringify(save.state),
    revision_of_state: save.revisionOfState + 1,
  };
  if (save.revisionOfState === 0) {
    const inserted = await transaction
      .insertInto("endpoints")
      .values({ name: save.name, ...next })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows !== 1n) throw conflictOver(save);
  } else {
    const updated = await transaction
      .updateTable("endpoints")
      .set(next)
      .where("name", "=", save.name)
      .where("revision_of_state", "=", save.revisionOfState)
      .executeTakeFirst();
    if (updated.numUpdatedRows !== 1n) throw conflictOver(save);
  }
  return next.revision_of_state;
}

async function saveAll(transaction: Executor, save: EndpointSave): Promise<EndpointSaved> {
  const revisionOfState = await saveState(transaction, save);
  const history = historyStore(transaction);
  const entries = await history.append(save.name, save.entries);
  const head = entries.at(-1) ?? (await history.head(save.name));
  return { revisionOfState, entries, historyHead: head?.hash ?? null };
}

/** Endpoints over any SQL database. */
export function endpointStore(executor: Executor): EndpointStore {
  return {
    list: async () => read(executor, null),
    get: async (name) => (await read(executor, name))[0] ?? null,
    save: async (save) => atomically(executor, async (transaction) => saveAll(transaction, save)),
  };
}
