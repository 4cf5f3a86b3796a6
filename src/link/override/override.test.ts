import fc from "fast-check";
import { expect, test } from "vitest";

import { overrideSchema, type Override } from "./override.ts";

const count = fc.integer({ min: 1, max: 1_000 });
const ms = fc.double({ min: 0, max: 1e6, noNaN: true });
const override = fc.record({
  id: fc.string({ minLength: 1 }),
  endpoint: fc.constantFrom("fraud-prod", "iris"),
  kind: fc.constant("rollback"),
  over: fc.record({ generation: fc.nat(), epoch: fc.nat(), sequence: fc.nat() }),
  from: count,
  to: count,
  at: fc.nat(),
  actor: fc.string(),
  reason: fc.option(fc.string()),
  keepStatus: fc.boolean(),
  trigger: fc.constantFrom("manual", "breaker", "limit"),
  measured: fc.record({
    switchMs: ms,
    lastOldAdmittedMs: fc.option(ms),
    lastOldResponseMs: fc.option(ms),
    failedRequests: fc.nat(),
    verified: fc.boolean(),
    durable: fc.boolean(),
  }),
});

test("an override comes through the disk and the link as it was", () => {
  fc.assert(
    fc.property(override, (made) => {
      const read: Override = overrideSchema.parse(JSON.parse(JSON.stringify(made)));
      // JSON has no -0.
      expect(JSON.stringify(read)).toBe(JSON.stringify(made));
    }),
  );
});

test("an override that names no revision, no id or does something else is refused", () => {
  const [made] = fc.sample(override, 1);
  for (const wrong of [
    { from: 0 },
    { to: 1.5 },
    { id: "" },
    { kind: "deploy" },
    { endpoint: "a/b" },
  ])
    expect(overrideSchema.safeParse({ ...made, ...wrong }).success).toBe(false);
});
