import fc from "fast-check";
import { expect, test } from "vitest";

import { canonicalJson } from "./canonical.ts";
import { chainEntry, verifyChain, type ChainEntry, type HistoryDraft } from "./chain.ts";

function draft(number: number): HistoryDraft {
  return {
    at: 1_000 + number,
    kind: "rolled back",
    actor: "ana",
    reason: number % 2 === 0 ? null : "error rate",
    data: { from: `v1.${number}`, to: "v1.0", nested: { list: [1, 2, number] } },
  };
}

function chain(length: number): ChainEntry[] {
  const entries: ChainEntry[] = [];
  for (let number = 1; number <= length; number += 1)
    entries.push(chainEntry("fraud-prod", entries.at(-1) ?? null, draft(number)));
  return entries;
}

test("a chain as it was written verifies, also after a way through JSON", () => {
  const entries = chain(5);
  const read = JSON.parse(JSON.stringify(entries)) as ChainEntry[];
  expect(verifyChain(read, entries[4]?.hash)).toEqual({
    ok: true,
    entries: 5,
    head: entries[4]?.hash,
  });
  expect(verifyChain([])).toEqual({ ok: true, entries: 0, head: null });
});

test("anybody can recompute a hash: this one was made with Python's json and hashlib", () => {
  expect(chain(1)[0]?.hash).toBe(
    "80cea532bc28cc3b24743446216098e175d8e87dacd40e0d801bf72a236f504d",
  );
});

test("a note of an earlier head still verifies; a cut tail does not", () => {
  const entries = chain(5);
  expect(verifyChain(entries, entries[2]?.hash).ok).toBe(true);
  expect(verifyChain(entries.slice(0, 4), entries[4]?.hash)).toMatchObject({
    ok: false,
    firstAltered: 5,
    problem: expect.stringContaining("cut off the end"),
  });
  expect(verifyChain([], entries[4]?.hash)).toMatchObject({ ok: false, firstAltered: 1 });
});

test("an entry taken out, put in or moved is named", () => {
  const entries = chain(5);
  expect(verifyChain(entries.toSpliced(2, 1))).toMatchObject({
    ok: false,
    firstAltered: 3,
    problem: "it is missing: the next entry is number 4",
  });
  const [first, second, ...rest] = entries;
  if (first === undefined || second === undefined) throw new Error("the chain is too short");
  expect(verifyChain([second, first, ...rest])).toMatchObject({ ok: false, firstAltered: 1 });
  expect(verifyChain([first, first, second, ...rest])).toMatchObject({
    ok: false,
    firstAltered: 2,
    problem: "number 1 stands in its place",
  });
  expect(verifyChain(entries.slice(1))).toMatchObject({ ok: false, firstAltered: 1 });
});

test("an entry of another endpoint does not fit in", () => {
  const entries = chain(2);
  const foreign = chainEntry("iris-prod", entries[1] ?? null, draft(3));
  expect(verifyChain([...entries, foreign])).toMatchObject({ ok: false, firstAltered: 3 });
});

const someText = fc.string({ maxLength: 12 });
const alterations = fc.oneof(
  fc.record({ field: fc.constant("at"), value: fc.integer() }),
  fc.record({ field: fc.constant("sequence"), value: fc.integer() }),
  fc.record({ field: fc.constantFrom("kind", "actor", "endpoint", "hash"), value: someText }),
  fc.record({
    field: fc.constantFrom("reason", "previous"),
    value: fc.option(someText, { nil: null }),
  }),
  fc.record({ field: fc.constant("data"), value: fc.dictionary(someText, fc.jsonValue()) }),
);

test("any single changed field of any entry is found at that entry", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(), alterations, (length, pick, change) => {
      const entries = chain(length);
      const index = pick % length;
      const original = entries[index];
      if (original === undefined) throw new Error("no such entry");
      const altered = { ...original, [change.field]: change.value } as ChainEntry;
      fc.pre(canonicalJson(altered) !== canonicalJson(original));
      expect(verifyChain(entries.with(index, altered))).toMatchObject({
        ok: false,
        firstAltered: index + 1,
      });
    }),
    { numRuns: 500 },
  );
});

test("an altered entry whose hash was made to fit betrays itself at the next", () => {
  const entries = chain(3);
  const first = chainEntry("fraud-prod", null, { ...draft(1), actor: "mallory" });
  expect(verifyChain(entries.with(0, first))).toMatchObject({ ok: false, firstAltered: 2 });
});

test("canonical JSON does not depend on the order of members", () => {
  expect(canonicalJson({ b: [1, { d: null, c: "é\n" }], a: true, skipped: undefined })).toBe(
    '{"a":true,"b":[1,{"c":"é\\n","d":null}]}',
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
    }),
  );
});

test("canonical JSON refuses what JSON cannot say", () => {
  for (const value of [NaN, Infinity, undefined, () => 1, [undefined]])
    expect(() => canonicalJson(value)).toThrow("JSON cannot say");
});
