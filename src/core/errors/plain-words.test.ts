import { expect, test } from "vitest";
import * as z from "zod";

import { pathText, plainIssues, plainWords } from "./index.ts";

const schema = z.strictObject({
  name: z.string().min(2).max(5).optional(),
  weight: z.number().positive().max(99).optional(),
  steps: z
    .array(z.union([z.string(), z.object({ at: z.int() })]))
    .min(1)
    .optional(),
  does: z
    .discriminatedUnion("command", [
      z.object({ command: z.literal("pause"), forMs: z.number() }),
      z.object({ command: z.literal("resume") }),
    ])
    .optional(),
  action: z.enum(["hold", "rollback"]).optional(),
  truth: z.union([z.string(), z.union([z.number(), z.null()])]).optional(),
});

test.each([
  [{ name: 1 }, "name: is not a text"],
  [{ name: "" }, "name: is empty: accepted is at least 2 characters"],
  [{ name: "abcdef" }, "name: has 6 characters: accepted is at most 5"],
  [{ weight: 0 }, "weight: is 0: accepted is more than 0"],
  [{ weight: 100 }, "weight: is 100: accepted is at most 99"],
  [{ steps: [] }, "steps: is empty: accepted is at least 1 item"],
  [{ steps: ["a", 1] }, "steps[1]: is 1: accepted is a text or a mapping of keys"],
  [{ steps: [{ at: "x" }] }, "steps[0].at: is not a number"],
  [{ does: { command: "stop" } }, "does.command: is stop: accepted are pause, resume"],
  [{ does: {} }, "does.command: is missing: accepted are pause, resume"],
  [{ does: { command: "pause" } }, "does.forMs: is missing"],
  [{ action: "soon" }, "action: is soon: accepted are hold, rollback"],
  [{ truth: [] }, "truth: is an empty list: accepted is a text, a number or null"],
  [
    { wieght: 1 },
    ': has an unknown key "wieght": did you mean weight? accepted are name, weight, steps, does, action, truth',
  ],
])("%j is told in words of ours", (value, expected) => {
  const parsed = schema.safeParse(value, { error: plainWords });
  const told = plainIssues(parsed.error ?? new z.ZodError([])).map(
    ({ path, message }) => `${pathText(path)}: ${message}`,
  );
  expect(told.join("; ")).toBe(expected);
});
