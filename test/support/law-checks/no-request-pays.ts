import { expect } from "vitest";

import { Load } from "../load.ts";
import type { TestServer } from "../server.ts";
import { irisBodies, stage } from "../stage.ts";

/** Of few switches it may be that none has a request in flight. */
const ROUNDS = 10;

/** Law 5: switches under load drop no request and fail none. */
export async function checkNoRequestPays(server: TestServer): Promise<void> {
  const busy = stage(server, "law-busy");
  await busy.stable("v1.0");
  await busy.register("v1.1");
  const load = new Load({ url: busy.url, bodies: irisBodies, concurrency: 32 });
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      await busy.deploy("v1.1", { force: true, bakeMs: 60_000 });
      const back = await server.client.rollback({
        endpoint: busy.name,
        actor: "tester",
        again: true,
      });
      expect(back, "law 5: the rollback counts no failed request").toMatchObject({
        to: { version: "v1.0" },
        failedRequests: 0,
      });
    }
  } finally {
    await load.stop();
  }
  expect(load.answers.length).toBeGreaterThan(100);
  expect(load.failures, "law 5: no request fails").toEqual([]);
}
