import { join } from "node:path";

import { parseDigest } from "../../src/core/version/index.ts";
import { openSqliteStore, type CountRecord, type Store } from "../../src/storage/store/index.ts";

interface Implementation {
  readonly name: string;
  /** Opens the store that lies in a folder of its own; again: the same store. */
  readonly open: (folder: string) => Promise<Store>;
}

/** Every store there is. */
export const IMPLEMENTATIONS: readonly Implementation[] = [
  { name: "sqlite", open: (folder) => openSqliteStore({ path: join(folder, "store.db") }) },
];

export const DIGEST = parseDigest(`sha256:${"a".repeat(64)}`);
export const OTHER_DIGEST = parseDigest(`sha256:${"b".repeat(64)}`);

/** What one worker has counted. */
export const count = (over: Partial<CountRecord> = {}): CountRecord => ({
  gateway: "g",
  incarnation: "i",
  worker: 0,
  endpoint: "fraud-prod",
  revision: 1,
  arm: "assigned",
  interval: 1,
  requests: 10,
  errors: 1,
  rejected: 0,
  ...over,
});
