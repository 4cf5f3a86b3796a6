export { openSqliteStore } from "./sqlite/sqlite-store.ts";
export type {
  CountRecord,
  CountStore,
  CountTotal,
  EndpointStore,
  EvidenceRecord,
  ModelRecord,
  OperationStore,
  Store,
  StoredEvidence,
  StoredManifest,
  StoreOrder,
  VersionPage,
  VersionRecord,
} from "./store.ts";
