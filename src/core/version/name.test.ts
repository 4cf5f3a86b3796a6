import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import {
  blobPath,
  parseAlias,
  parseDigest,
  parseEndpointName,
  parseModelName,
  parseVersionName,
} from "./name.ts";

const invalid = [
  "",
  " ",
  ".",
  "..",
  "../etc/passwd",
  "a/../b",
  "a..b",
  "a/b",
  "a\\b",
  "/etc",
  "-rf",
  "_x",
  ".hidden",
  "a b",
  "a\n",
  "\na",
  "a\0b",
  "a%2e%2e",
  "a?b",
  "a#b",
  "a@b",
  "a:b",
  "modèle",
  "ﬁ",
  "а", // Cyrillic
  "v１", // full-width digit
  "🚀",
  "e\u0301",
  "a".repeat(129),
];

for (const text of invalid)
  test(`${JSON.stringify(text.slice(0, 20))} names nothing`, () => {
    for (const parse of [parseModelName, parseEndpointName, parseVersionName, parseAlias])
      expect(() => parse(text)).toThrowError(
        expect.objectContaining({ code: "name.invalid", hint: expect.stringContaining("letters") }),
      );
  });

for (const text of [
  "fraud",
  "fraud-prod",
  "Fraud_2.0",
  "0day",
  "a",
  "a".repeat(128),
  "v1.1",
  "1.0",
])
  test(`${text.slice(0, 20)} is a name`, () => {
    expect(parseModelName(text)).toBe(text);
    expect(parseEndpointName(text)).toBe(text);
    expect(parseVersionName(text)).toBe(text);
  });

for (const text of ["latest", "LATEST", "final", "Final", "backup", "1", "007", "9".repeat(300)])
  test(`${text.slice(0, 20)} is reserved, with an example of what is not`, () => {
    expect(() => parseVersionName(text)).toThrowError(
      expect.objectContaining({
        code: "name.reserved",
        traits: expect.objectContaining({ exit: 2 }),
        hint: expect.stringContaining("--version"),
      }),
    );
  });

for (const text of ["latest", "3", "v3", "V1.1", "1st"])
  test(`${text} is no alias: it looks like a version`, () => {
    expect(() => parseAlias(text)).toThrowError(expect.objectContaining({ code: "name.reserved" }));
  });

test("champion is an alias", () => {
  expect(parseAlias("champion")).toBe("champion");
});

/** Characters that have fooled parsers before, among plain ones. */
const odd = fc.constantFrom(...Array.from("aZ09.-_/\\:@%#? \0\n\u0301\u200b\u202e１аﬁé🚀"));

test("whatever text gives a name that is safe in a path and a URL, or a refusal of ours", () => {
  const text = fc.oneof(fc.string({ unit: odd }), fc.stringMatching(/^[\w.\-/%]{0,12}$/));
  fc.assert(
    fc.property(text, (typed) => {
      let name = "v1.1";
      const code = codeOf(() => {
        name = parseVersionName(typed);
      });
      expect([null, "name.invalid", "name.reserved"]).toContain(code);
      expect(encodeURIComponent(name)).toBe(name);
      expect(new URL(`http://h/a/${name}/b`).pathname).toBe(`/a/${name}/b`);
    }),
    { numRuns: 1_000 },
  );
});

const hex = "0123456789abcdef".repeat(4);

test("a digest is sha256: and 64 lower-case hex digits", () => {
  const digest = parseDigest(`sha256:${hex}`);
  expect(blobPath(digest)).toBe(`blobs/sha256/${hex}`);
  const wrong = [hex, `sha256:${hex.toUpperCase()}`, `sha256:${hex}0`, `sha256:${hex.slice(1)}`];
  for (const text of [...wrong, `sha512:${hex}`, `sha256:${hex}\n`, `sha256:../../${hex}`, ""])
    expect(() => parseDigest(text)).toThrowError(
      expect.objectContaining({ code: "reference.invalid" }),
    );
});
