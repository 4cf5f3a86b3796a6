export { openSqliteStore } from "./sqlite/sqlite-store.ts";
export type {
  CountRecord,
  CountStore,
  CountTotal,
  EndpointStore,
  ModelRecord,
  OperationStore,
  Store,
  StoredManifest,
  StoreOrder,
  VersionPage,
  VersionRecord,
} from "./store.ts";
