import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { parseCsv } from "./csv.ts";

function texts(csv: string): string[][] {
  return parseCsv(csv).map((row) => row.map((field) => field.text));
}

test.each<[string, string[][]]>([
  ["", []],
  ["a", [["a"]]],
  [
    "a,b\r\n1,2\r\n",
    [
      ["a", "b"],
      ["1", "2"],
    ],
  ],
  ["a\n1\n\n\r\n2", [["a"], ["1"], ["2"]]],
  ["a\r1\r", [["a"], ["1"]]],
  [
    "a,\n,b\n,",
    [
      ["a", ""],
      ["", "b"],
      ["", ""],
    ],
  ],
  ['"a,b","c""d","e\r\nf"\n', [["a,b", 'c"d', "e\r\nf"]]],
  ['""\n', [[""]]],
  ['a"b,c', [['a"b', "c"]]],
  ["\uFEFFa,b", [["a", "b"]]],
  [" a , b ", [[" a ", " b "]]],
])("%j is %j", (csv, rows) => {
  expect(texts(csv)).toEqual(rows);
});

test.each(['"', '"a', 'a,"b\n', '"a""'])("%j is refused: the quoted field does not end", (csv) => {
  expect(() => parseCsv(csv)).toThrow(/CSV line \d+: a quoted field does not end/);
});

test.each(['"a"b', '"a" ,b', 'x\n"a"b'])("%j is refused: text after the quotes", (csv) => {
  expect(() => parseCsv(csv)).toThrow("a quoted field is followed by more than a comma");
});

const field = fc.oneof(
  fc.string({ unit: fc.constantFrom(",", '"', "\r", "\n", "a", "ü", " ") }),
  fc.string(),
);

test("whatever is written with quotes comes back, with every line end", () => {
  const rows = fc
    .integer({ min: 1, max: 4 })
    .chain((width) =>
      fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1 }),
    );
  fc.assert(
    fc.property(rows, fc.constantFrom("\n", "\r\n", "\r"), fc.boolean(), (table, end, last) => {
      const lines = table.map((row) =>
        row.map((text) => `"${text.replaceAll('"', '""')}"`).join(","),
      );
      expect(texts(lines.join(end) + (last ? end : ""))).toEqual(table);
    }),
  );
});

test("plain fields come back without quotes", () => {
  const plain = fc.string({ unit: fc.constantFrom("a", "1", " ", "ü", "'"), minLength: 1 });
  fc.assert(
    fc.property(fc.array(fc.array(plain, { minLength: 1 }), { minLength: 1 }), (table) => {
      expect(texts(table.map((row) => row.join(",")).join("\n"))).toEqual(table);
    }),
  );
});

/** What is left of a text once it is read: its fields, or null where its quotes do not fit. */
function fieldsOf(csv: string): string | null {
  try {
    return texts(csv).flat().join("");
  } catch (error) {
    if (error instanceof LastgoodError) return null;
    throw error;
  }
}

test("any text is read or refused, and without quotes no character is lost", () => {
  fc.assert(
    fc.property(field, (any) => {
      fieldsOf(any);
      const plain = any.replaceAll(/["\uFEFF]/g, "");
      expect(fieldsOf(plain)).toBe(plain.replaceAll(/[,\r\n]/g, ""));
    }),
    { numRuns: 500 },
  );
});
