import { DatabaseSync } from "node:sqlite";

import type { DoctorCheck } from "../../core/api/index.ts";
import { fine, wrong } from "./finding.ts";

const HINT =
  "keep a copy of the data folder, then restart the server: what cannot be read is set aside and versions come back from their manifests";

/** Whether the database file is whole, seen through a connection of its own that cannot write. */
export function checkStore(path: string): DoctorCheck {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
    try {
      const found = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
      return found[0] === "ok"
        ? fine("store", `${path} is whole`)
        : wrong("store", `${path} is damaged: ${String(found[0])}`, HINT);
    } finally {
      database.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return wrong("store", `${path} cannot be read: ${why}`, HINT);
  }
}
