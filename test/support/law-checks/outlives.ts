import { expect } from "vitest";

import type { History, RolledBack } from "../../../src/core/api/index.ts";
import { until, type TestServer } from "../server.ts";
import { stage } from "../stage.ts";

/** Law 7: with the control plane stopped a rollback happens, and is in history when it is back. */
export async function checkOutlives(server: TestServer): Promise<void> {
  const alone = stage(server, "law-alone");
  await alone.stable("v1.0", "v1.1");
  const [control] = server.pids.control;
  if (control === undefined) throw new Error("there is no control plane");
  process.kill(control, "SIGSTOP");
  try {
    const deadline = new Promise<null>((resolve) => setTimeout(() => resolve(null), 10_000));
    const told = await Promise.race([
      alone.tell<RolledBack>("rollback", alone.name, "--reason", "nobody decides"),
      deadline,
    ]);
    expect(told, "law 7: the rollback happens without the control plane").toMatchObject({
      code: 0,
      value: { to: { version: "v1.0" }, via: "gateway", verified: true },
    });
    expect(await alone.answering()).toEqual(["v1.0"]);
  } finally {
    process.kill(control, "SIGCONT");
  }
  const done = await until("the rollback is in history", async () => {
    const { value } = await alone.tell<History>("history", alone.name, "--all");
    const found = value.entries.filter(({ kind }) => kind === "rollback.completed");
    return found.length > 0 ? found : null;
  }).catch(() => []);
  expect(done, "law 7: what happened meanwhile is in history, once").toMatchObject([
    { reason: "nobody decides", data: { via: "gateway" } },
  ]);
  expect(await alone.answering(), "law 7: it is not overridden").toEqual(["v1.0"]);
}
