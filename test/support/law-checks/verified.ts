import { expect } from "vitest";

import type { TestServer } from "../server.ts";
import { stage } from "../stage.ts";
import { strangerOn } from "../stranger.ts";

/**
 * Law 3: what the public port does not answer as it should is not reported done. Another program
 * shares the port, so probes are answered by nobody of ours.
 */
export async function checkVerified(server: TestServer): Promise<void> {
  const verified = stage(server, "law-verified");
  await verified.stable("v1.0", "v1.1");
  const stranger = await strangerOn(server.ports.serve);
  try {
    const refusal = await verified.refused(1, "rollback", verified.name);
    expect(refusal.code, "law 3: not done while the port answers wrongly").toBe(
      "rollback.no-target-left",
    );
    expect(refusal.message).toContain("v1.0: revision 1 did not answer as it should");
    expect(stranger.answered).toBeGreaterThan(0);
  } finally {
    await stranger.close();
  }
  const view = await verified.view();
  expect(view, "law 3: the route ends on the revision it left").toMatchObject({
    current: { version: "v1.1" },
    rollout: null,
  });
  expect(view.alarms.join()).toContain("every target failed its verification");
  expect(await verified.answering()).toEqual(["v1.1"]);
}
