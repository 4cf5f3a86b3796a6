import { expect, test } from "vitest";

import { rollbackBodySchema } from "../../core/api/index.ts";
import { rollbackRequest } from "./rollback-request.ts";

const asked = rollbackBodySchema.parse({ actor: "ann" });

test.each([
  ["v1.0", "v1.0"],
  ["3", "3"],
  ["fraud@v1.0", "fraud@v1.0"],
  ["fraud:v1.0", "fraud@v1.0"],
  ["fraud:3", "fraud@3"],
  ["models:/fraud/v1.0", "fraud@v1.0"],
  ["models:/fraud/3", "fraud@3"],
  ["models:/fraud@champion", "fraud@champion"],
  ["@champion", "@champion"],
])("a gateway is told of %s as %s", (spelled, told) => {
  const request = rollbackRequest({ ...asked, version: spelled, ifCurrent: spelled }, "it");
  expect(request).toMatchObject({ version: told, ifCurrent: told });
});

test("everything that a gateway can do goes to it, and what it cannot is refused by name", () => {
  const more = { endpoint: "fraud", reason: "slow", keepStatus: true, again: true, dryRun: true };
  expect(rollbackRequest({ ...asked, ...more }, "it")).toEqual({
    ...more,
    version: null,
    ifCurrent: null,
    actor: "ann",
  });
  for (const [change, option] of [
    [{ toRevision: 1 }, "--to-revision"],
    [{ force: true }, "--force"],
    [{ force: true, version: "v1.0" }, "--force"],
  ] as const)
    expect(() => rollbackRequest({ ...asked, ...change }, "the control plane")).toThrow(
      expect.objectContaining({
        code: "target.unproven",
        message: `${option} needs the control plane`,
      }),
    );
});
