import { expect } from "vitest";

import type { TestServer } from "../server.ts";
import { stage } from "../stage.ts";

/** Law 2: a cold target whose bytes rotted is known to be none before it is needed, and said. */
export async function checkProven(server: TestServer): Promise<void> {
  const proven = stage(server, "law-proven");
  await proven.stable("v1.0", "v1.1", "v1.2");
  await proven.unloadedTo(2);
  proven.flipByte("v1.0");
  await proven.mark("v1.1", "failed", "it was bad all along");
  // Found by the control plane, or by the gateway, which was to have it warm as the next target.
  const why: unknown = expect.stringMatching(/ does not match its digest$/);
  const rotten = { version: "v1.0", why };

  const doctor = await server.client.doctor();
  const found = doctor.checks.find(({ check }) => check === `rollback of ${proven.name}`);
  expect(found, "law 2: doctor proves the target now").toMatchObject({
    message: expect.stringMatching(/no way back .*v1\.0: .* does not match its digest/),
  });
  const { rollback, alarms } = await proven.view();
  expect(rollback, "law 2: status knows that there is no way back").toMatchObject({
    target: null,
    passedOver: expect.arrayContaining([rotten]),
  });
  expect(alarms.join(), "law 2: a target that stops holding raises an alarm").toContain(
    "no way back",
  );

  const refusal = await proven.refused(4, "rollback", proven.name);
  expect(refusal, "law 2: no unproven target is tried").toMatchObject({
    code: "target.none",
    passedOver: expect.arrayContaining([
      rotten,
      { version: "v1.1", why: "failed: it was bad all along" },
    ]),
  });
  expect(await proven.answering(), "law 2: it keeps serving").toEqual(["v1.2"]);
}
