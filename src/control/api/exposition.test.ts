import fc from "fast-check";
import { expect, test } from "vitest";

import { exposition } from "./exposition.ts";

test("a metric has its help, its type and one line per sample", () => {
  const text = exposition([
    {
      name: "lastgood_requests_total",
      help: "Requests.",
      type: "counter",
      samples: [
        { labels: { endpoint: "fraud-prod", revision: 2 }, value: 7 },
        { labels: {}, value: 0.5 },
      ],
    },
  ]);
  expect(text).toMatchInlineSnapshot(`
    "# HELP lastgood_requests_total Requests.
    # TYPE lastgood_requests_total counter
    lastgood_requests_total{endpoint="fraud-prod",revision="2"} 7
    lastgood_requests_total 0.5
    "
  `);
});

test("label values of any content stay on their line and read back as they were", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', "\\", "\n", "n", "{", "}", "=", ",", "é", "😀") }),
      (value) => {
        const text = exposition([
          { name: "m", help: "", type: "gauge", samples: [{ labels: { l: value }, value: 1 }] },
        ]);
        const lines = text.split("\n");
        expect(lines).toHaveLength(4);
        const quoted = /^m\{l="((?:[^"\\]|\\.)*)"\} 1$/su.exec(lines[2] ?? "")?.[1];
        const read = quoted?.replaceAll(/\\(.)/gsu, (_, char: string) =>
          char === "n" ? "\n" : char,
        );
        expect(read).toBe(value);
      },
    ),
  );
});

test("help with line ends and values that are no finite number keep the form", () => {
  const samples = [NaN, Infinity, -Infinity].map((value) => ({ labels: {}, value }));
  expect(exposition([{ name: "m", help: "a\nb\\c", type: "gauge", samples }])).toBe(
    "# HELP m a\\nb\\\\c\n# TYPE m gauge\nm NaN\nm +Inf\nm -Inf\n",
  );
});
