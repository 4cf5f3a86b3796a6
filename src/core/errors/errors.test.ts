import { readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { expect, test } from "vitest";

import { ERROR_CODES, isErrorCode, type ErrorCode } from "./codes.ts";
import { LastgoodError, unreachable } from "./error.ts";

const codes = Object.keys(ERROR_CODES) as ErrorCode[];
const page = readFileSync(join(import.meta.dirname, "../../../docs/reference/errors.md"), "utf8");

/** The cells of the page's table, by row. */
const rows = page
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

test("the page lists every code once and no other, in the table's order", () => {
  expect(rows.map(([code]) => code)).toEqual(codes.map((code) => `\`${code}\``));
});

for (const code of codes)
  test(`the page says of ${code} what the table says, and what to do`, () => {
    const [, http, exit, meaning, advice] = rows.find(([first]) => first === `\`${code}\``) ?? [];
    const traits = ERROR_CODES[code];
    expect({ http, exit, meaning }).toEqual({
      http: String(traits.http),
      exit: String(traits.exit),
      meaning: traits.title,
    });
    expect(advice).toMatch(/^[^ ].{10,}\.$/);
  });

test("codes, statuses and exit codes are of the known kinds", () => {
  for (const code of codes) {
    const { http, exit, title } = ERROR_CODES[code];
    expect(code).toMatch(/^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)?$/);
    expect(http >= 400 && http < 600).toBe(true);
    expect([1, 2, 3, 4, 5, 6]).toContain(exit);
    expect(title).toMatch(/^[A-Z].*[^.]$/);
  }
  expect(isErrorCode("target.none")).toBe(true);
  for (const other of ["toString", "__proto__", "Target.none", "", null, 7])
    expect(isErrorCode(other)).toBe(false);
});

test("an error comes through its wire form", () => {
  const text = fc.string();
  const error = fc.record({
    code: fc.constantFrom(...codes),
    message: text,
    hint: fc.option(text, { nil: undefined }),
    details: fc.dictionary(text, fc.oneof(text, fc.integer()), { noNullPrototype: true }),
    passedOver: fc.array(fc.record({ version: text, why: text })),
  });
  fc.assert(
    fc.property(error, ({ code, message, ...particulars }) => {
      const sent = new LastgoodError(code, message, particulars);
      const got = LastgoodError.fromBody(
        JSON.parse(JSON.stringify(sent.toBody())) as ReturnType<typeof sent.toBody>,
      );
      expect(got.toBody()).toEqual(sent.toBody());
      expect(got.traits).toBe(sent.traits);
    }),
  );
});

test("a code that this build does not know becomes internal", () => {
  const got = LastgoodError.fromBody({ code: "from.tomorrow", message: "new" });
  expect(got).toMatchObject({ code: "internal", message: "new", passedOver: [] });
  expect(got.details).toEqual({});
});

test("whatever is thrown becomes one of ours, with its cause", () => {
  const own = new LastgoodError("target.none", "nothing");
  expect(LastgoodError.from(own)).toBe(own);
  const cause = new TypeError("x is not a function");
  expect(LastgoodError.from(cause)).toMatchObject({
    code: "internal",
    message: cause.message,
    cause,
  });
  for (const thrown of [null, undefined, 7, "text", Symbol("s"), {}])
    expect(LastgoodError.from(thrown)).toMatchObject({ code: "internal" });
});

test("a place no value can reach says which value reached it", () => {
  expect(() => unreachable("blue" as never)).toThrowError(/unexpected value "blue"/);
});
