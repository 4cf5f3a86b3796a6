import { expect, test } from "vitest";

import { shimMark } from "./shim.ts";

test("what a shim has started is told from what one whose pid begins alike has", () => {
  expect(shimMark("/run/m.sock", 123).startsWith(shimMark("/run/m.sock", 12))).toBe(false);
});
