import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { expect } from "vitest";

import type { HistoryVerified } from "../../../src/core/api/index.ts";
import type { TestServer } from "../server.ts";
import { stage } from "../stage.ts";

/** Runs statements on the store's file, as somebody with access to the disk could. */
export function tamper(server: TestServer, ...statements: readonly string[]): void {
  const database = new DatabaseSync(join(server.dataDir, "store.sqlite"), { timeout: 5_000 });
  try {
    // The triggers that forbid it are no obstacle to who owns the file.
    database.exec("drop trigger history_no_update; drop trigger history_no_delete;");
    for (const statement of statements) database.exec(statement);
  } finally {
    for (const change of ["update", "delete"])
      database.exec(
        `create trigger history_no_${change} before ${change} on history begin select raise(abort, 'history is append-only'); end`,
      );
    database.close();
  }
}

/** Law 4: what failed is marked, kept and barred; history that was altered says so. */
export async function checkNothingLost(server: TestServer): Promise<void> {
  const kept = stage(server, "law-kept");
  await kept.stable("v1.0", "v1.1");
  const { code } = await kept.tell("rollback", kept.name, "--reason", "wrong scores");
  expect(code).toBe(0);

  const version = await server.client.version(kept.name, "v1.1");
  expect(version, "law 4: the version left behind is marked and kept").toMatchObject({
    status: "failed",
    statusReason: "wrong scores",
  });
  const barred = await kept.refused(4, "deploy", `${kept.name}@v1.1`);
  expect(barred, "law 4: it is barred").toMatchObject({ code: "version.barred" });

  const intact = await kept.tell<HistoryVerified>("history", kept.name, "--verify");
  expect(intact).toMatchObject({ code: 0, value: { ok: true, problem: null } });
  tamper(
    server,
    `update history set reason = 'all was well' where endpoint = '${kept.name}' and reason = 'wrong scores'`,
  );
  const altered = await kept.tell<HistoryVerified>("history", kept.name, "--verify");
  expect(altered, "law 4: an altered entry is found").toMatchObject({
    code: 1,
    value: { ok: false, firstAltered: expect.any(Number) },
  });
}
