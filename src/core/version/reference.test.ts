import fc from "fast-check";
import { expect, test } from "vitest";

import { refusalOf } from "../../../test/support/refusal.ts";
import { parseVersionReference, parseVersionSelector } from "./reference.ts";

const models = ["fraud", "fraud_v1", "churn"];
const isAlias = (model: string, alias: string): boolean =>
  model === "fraud" && alias === "champion";
const read = (text: string): unknown => parseVersionReference(text, models, isAlias);
const byName = (model: string, name: string): unknown => ({
  model,
  selector: { by: "name", name },
});
const bySequence = (model: string, sequence: number): unknown => ({
  model,
  selector: { by: "sequence", sequence },
});
const byAlias = (alias: string): unknown => ({
  model: "fraud",
  selector: { by: "alias", alias },
});

const spellings: Readonly<Record<string, unknown>> = {
  fraud: { model: "fraud", selector: null },
  unknown: { model: "unknown", selector: null },
  "fraud@v1.1": byName("fraud", "v1.1"),
  "fraud:v1.1": byName("fraud", "v1.1"),
  "churn_v1.1": byName("churn", "v1.1"),
  "fraud_v2.0": byName("fraud", "v2.0"),
  // The longest model name wins; a model of exactly that name even more.
  fraud_v1_v2: byName("fraud_v1", "v2"),
  fraud_v1: { model: "fraud_v1", selector: null },
  "fraud@3": bySequence("fraud", 3),
  "fraud:3": bySequence("fraud", 3),
  churn_3: bySequence("churn", 3),
  "fraud@v3": byName("fraud", "v3"),
  "fraud@champion": byAlias("champion"),
  "fraud@@challenger": byAlias("challenger"),
  "churn@champion": byName("churn", "champion"),
  "models:/fraud/3": bySequence("fraud", 3),
  "models:/fraud/v1.1": byName("fraud", "v1.1"),
  "models:/fraud@champion": byAlias("champion"),
  "models:/fraud": { model: "fraud", selector: null },
};
for (const [text, expected] of Object.entries(spellings))
  test(`${text} is read`, () => {
    expect(read(text)).toEqual(expected);
  });

const malformed = [
  "fraud@",
  "@v1.1",
  ":",
  "fraud@v1@v2",
  "fraud@v1 1",
  "fraud@a/b",
  "models:fraud/3",
  "models:/",
  "models:/fraud/",
  "models:/fraud/3/4",
  "models://fraud/3",
  "models:/fraud@",
  "fraud_",
];
for (const text of malformed)
  test(`${text} is refused with what is accepted`, () => {
    expect(() => read(text)).toThrowError(
      expect.objectContaining({
        code: "reference.invalid",
        hint: expect.stringContaining("accepted are"),
      }),
    );
  });

test("runs:/ is understood and refused: this server keeps no runs", () => {
  expect(() => read("runs:/abc/model")).toThrowError(/keeps no runs/);
});

for (const text of ["", "../x@v1", "a b", "fraud/v1", "models:/../3", "a..b@v1"])
  test(`${JSON.stringify(text)} names no model`, () => {
    expect(() => read(text)).toThrowError(
      expect.objectContaining({ traits: expect.objectContaining({ exit: 2 }) }),
    );
  });

/** Characters that have fooled parsers before, among plain ones. */
const odd = fc.constantFrom(...Array.from("aZ09.-_/\\:@%#? \0\n\u0301\u200b\u202e１аﬁé🚀"));

test("whatever is typed is read or refused as bad usage, never anything else", () => {
  const part = fc.constantFrom("fraud", "fraud_v1", "v1.1", "3", "champion", "models:/", "runs:/");
  const joint = fc.constantFrom("@", ":", "_", "/", "..", " ", "\0", "");
  const typed = fc.oneof(
    fc.string({ unit: odd }),
    fc.array(fc.tuple(part, joint), { maxLength: 5 }).map((parts) => parts.flat().join("")),
  );
  fc.assert(
    fc.property(typed, (text) => {
      let model = "fraud";
      let sequence = 0;
      const refusal = refusalOf(() => {
        const reference = parseVersionReference(text, models, isAlias);
        model = reference.model;
        if (reference.selector?.by === "sequence") sequence = reference.selector.sequence;
      });
      expect(refusal?.traits.exit ?? 2).toBe(2);
      expect(model).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
      expect(Number.isSafeInteger(sequence)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("a model and a version written down are read back", () => {
  const name = fc.stringMatching(/^v[0-9]{1,3}\.[0-9]{1,3}(-rc[0-9])?$/);
  const spelled = fc.constantFrom("fraud@", "fraud:", "fraud_", "models:/fraud/");
  fc.assert(
    fc.property(spelled, name, (prefix, version) => {
      expect(parseVersionReference(`${prefix}${version}`, ["fraud"])).toEqual(
        byName("fraud", version),
      );
    }),
  );
});

test("digits are a sequence number, however many names look like one", () => {
  expect(parseVersionSelector("3")).toEqual({ by: "sequence", sequence: 3 });
  expect(parseVersionSelector("v3")).toEqual({ by: "name", name: "v3" });
  expect(parseVersionSelector("@best")).toEqual({ by: "alias", alias: "best" });
});
