import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { formatDuration, parseDuration } from "./duration.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const read: readonly (readonly [string, number])[] = [
  ["0", 0],
  ["0s", 0],
  ["250ms", 250],
  ["30s", 30_000],
  ["1.5s", 1_500],
  ["10m", 10 * MINUTE],
  ["1h", HOUR],
  ["1h30m", 90 * MINUTE],
  ["2d", 48 * HOUR],
  [" 5s ", 5_000],
  ["10 min", 10 * MINUTE],
  ["1 h 5 min", 65 * MINUTE],
  ["366d", 366 * 24 * HOUR],
];
for (const [text, ms] of read)
  test(`${JSON.stringify(text)} is ${ms} ms`, () => {
    expect(parseDuration(text)).toBe(ms);
  });

const refused = ["", " ", "5", "-5s", "s", "5 parsecs", "1h30", "1e3s", "Infinity", "NaN", "367d"];
for (const text of [...refused, "5s!", "5,5s", "1h\n30m;", "٣s", "9".repeat(400) + "s"])
  test(`${JSON.stringify(text.slice(0, 20))} is refused`, () => {
    expect(() => parseDuration(text)).toThrowError(
      expect.objectContaining({ code: "input.invalid", hint: expect.stringContaining("1h30m") }),
    );
  });

test("whatever is typed gives a duration within bounds or input.invalid", () => {
  const typed = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[0-9. ]{0,6}(ms|s|m|h|d|min)?[0-9]{0,3}(ms|s|m)?$/),
  );
  fc.assert(
    fc.property(typed, (text) => {
      let ms = 0;
      const code = codeOf(() => {
        ms = parseDuration(text);
      });
      expect([null, "input.invalid"]).toContain(code);
      expect(ms >= 0 && ms <= 366 * 24 * HOUR).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

const shown: readonly (readonly [number, string])[] = [
  [0, "0 ms"],
  [0.44, "0.4 ms"],
  [12.4, "12 ms"],
  [999.4, "999 ms"],
  [999.6, "1 s"],
  [4_200, "4.2 s"],
  [10 * MINUTE, "10 min"],
  [59.6 * MINUTE, "1 h"],
  [65 * MINUTE, "1 h 5 min"],
  [3 * HOUR, "3 h"],
  [48 * HOUR, "2 d"],
];
for (const [ms, text] of shown)
  test(`${ms} ms is shown as ${text}`, () => {
    expect(formatDuration(ms)).toBe(text);
  });

test("what is shown can be typed, and means nearly the same", () => {
  const some = fc.double({ min: 0, max: 366 * 24 * HOUR, noNaN: true });
  fc.assert(
    fc.property(some, (ms) => {
      const again = parseDuration(formatDuration(ms));
      // Rounded to a tenth of a second, a minute or a day, whichever is shown.
      const rounding = ms < 1_000 ? 0.51 : ms < MINUTE ? 51 : ms < 47 * HOUR ? MINUTE : 12.1 * HOUR;
      expect(Math.abs(again - ms)).toBeLessThanOrEqual(rounding);
    }),
  );
});

test("shown again, it reads the same", () => {
  const some = fc.double({ min: 0, max: 366 * 24 * HOUR, noNaN: true });
  fc.assert(
    fc.property(some, (ms) => {
      const text = formatDuration(ms);
      expect(formatDuration(parseDuration(text))).toBe(text);
    }),
  );
});
