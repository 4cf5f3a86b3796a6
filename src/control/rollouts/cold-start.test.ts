import { expect, test } from "vitest";

import type { StoredManifest } from "../../storage/store/index.ts";
import { coldSeconds } from "./cold-start.ts";

function version(process?: StoredManifest["process"]): Parameters<typeof coldSeconds>[0] {
  return { files: [], ...(process === undefined ? {} : { process }) };
}

test("a managed server's own start counts, as it was last seen, else as it was at registration", () => {
  const managed = version({ startedInMs: 20_000, environment: "unmanaged: no file" });
  const reading = coldSeconds(version(), null);
  expect(coldSeconds(managed, null) - reading).toBeCloseTo(20);
  expect(coldSeconds(managed, 5_000) - reading).toBeCloseTo(5);
});
