import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { readFeedbackCsv } from "./feedback-csv.ts";

test("each of the three columns is read, in any order, with quotes and either line end", () => {
  expect(readFeedbackCsv('request_id,label\r\na,x\r\n"b","say ""hi"", or\nnot"\r\n')).toEqual([
    { requestId: "a", label: "x" },
    { requestId: "b", label: 'say "hi", or\nnot' },
  ]);
  expect(readFeedbackCsv("\uFEFFcorrect,request_id\nTrue,a\nno,b\n\n0,c")).toEqual([
    { requestId: "a", correct: true },
    { requestId: "b", correct: false },
    { requestId: "c", correct: false },
  ]);
  expect(readFeedbackCsv("request_id,score\na,0.5\nb, 1\n")).toEqual([
    { requestId: "a", score: 0.5 },
    { requestId: "b", score: 1 },
  ]);
});

test.each([
  ["", "line 1: there are no rows"],
  ["request_id,label\n", "line 1: there are no rows"],
  ["id,label\na,b", "line 1: the columns are id, label; accepted are request_id and one of"],
  ["request_id,label,score\na,b,1", "line 1: the columns are request_id, label, score"],
  ["request_id,label\na,b\nc", "line 3: has 1 cells, not 2"],
  ['request_id,label\na,"b\nc\n', "line 2: a quote is not closed"],
  ['request_id,label\na,"b"c\n', "line 2: something stands behind a closed quote"],
  ["request_id,label\n,b", "line 2: the request_id is empty"],
  ["request_id,label\na,", "line 2: the label is empty"],
  ['request_id,label\n"a\nb",c\nd,', "line 4: the label is empty"],
  ["request_id,correct\na,maybe", 'line 2: correct is "maybe"; accepted are true and false'],
  ["request_id,score\na,1.5", 'line 2: score is "1.5"; accepted are numbers from 0 to 1'],
  ["request_id,score\na, ", 'line 2: score is " "'],
])("%j is refused", (text, why) => {
  expect(() => readFeedbackCsv(text)).toThrow(why);
});

test("whatever a label holds comes back as it was written", () => {
  const label = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" });
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), (labels) => {
      const lines = labels.map((each, at) => `"id${at}","${each.replaceAll('"', '""')}"`);
      const items = readFeedbackCsv(["request_id,label", ...lines].join("\r\n"));
      expect(items).toEqual(labels.map((each, at) => ({ requestId: `id${at}`, label: each })));
    }),
  );
});

function codeOf(text: string): string {
  try {
    readFeedbackCsv(text);
    return "read";
  } catch (error) {
    return LastgoodError.from(error).code;
  }
}

test("any text is read or refused as the caller's mistake", () => {
  const text = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", "1", " ") });
  fc.assert(
    fc.property(text, (rest) => {
      expect(["read", "input.invalid"]).toContain(codeOf(`request_id,label\n${rest}`));
    }),
  );
});
