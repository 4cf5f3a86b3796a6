import { OpenAPIHono } from "@hono/zod-openapi";
import { beforeEach, expect, test } from "vitest";

import type { FeedbackItem } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { feedbackUpload } from "./feedback-upload.ts";
import { problemOf, toResponse } from "./problem.ts";

let app: OpenAPIHono;
let taken: (readonly FeedbackItem[])[];

beforeEach(() => {
  taken = [];
  app = new OpenAPIHono();
  app.onError((error) => toResponse(problemOf(LastgoodError.from(error))));
  feedbackUpload(app, {
    take: (items) => {
      taken.push(items);
      const none = { duplicates: 0, late: 0, refused: 0, unknown: [] };
      return Promise.resolve({ accepted: items.length, ...none });
    },
  });
});

async function post(body: string, type = "application/json"): Promise<[number, unknown]> {
  const headers = { "content-type": type };
  const answer = await app.request("/api/v1/feedback", { method: "POST", headers, body });
  const json = (await answer.json()) as Record<string, unknown>;
  return [answer.status, json["message"] ?? json["accepted"]];
}

test("one item, a list, and a CSV file are taken", async () => {
  expect(await post('{"requestId":"a","correct":false}')).toEqual([200, 1]);
  expect(await post('[{"requestId":"a","label":["x",2]},{"requestId":"b","score":0}]')).toEqual([
    200, 2,
  ]);
  expect(await post("request_id,label\na,x\n", "text/csv; charset=utf-8")).toEqual([200, 1]);
  expect(taken).toEqual([
    [{ requestId: "a", correct: false }],
    [
      { requestId: "a", label: ["x", 2] },
      { requestId: "b", score: 0 },
    ],
    [{ requestId: "a", label: "x" }],
  ]);
});

test.each([
  ['{"requestId":"a"}', 400, "body: needs exactly one of correct, label and score"],
  ['{"requestId":"a","correct":true,"score":1}', 400, "body: needs exactly one of correct"],
  [
    '{"requestId":"a","corect":true}',
    400,
    'body: has an unknown key "corect": did you mean correct? accepted are requestId, correct, label, score',
  ],
  [
    '[{"requestId":"a","correct":true},{"requestId":"b","score":2}]',
    400,
    "item 2, score: is 2: accepted is at most 1",
  ],
  ["[]", 400, "body: is empty: accepted is at least 1 item"],
  [
    `[${'{"requestId":"a","score":1},'.repeat(10_000)}{"requestId":"a","score":1}]`,
    400,
    "body: has 10001 items: accepted is at most 10000",
  ],
  ['{"correct":true}', 400, "body.requestId: is missing"],
  ['[{"requestId":"a","score":"good"}]', 400, "item 1, score: is not a number"],
  ['[{"requestId":"a","correct":"yes"}]', 400, "item 1, correct: is not true or false"],
  [
    '[{"requestId":"a","label":null}]',
    400,
    "item 1, label: is null: accepted is a text, a number, true or false or a list",
  ],
  ['[{"requestId":"a","label":["x",{}]}]', 400, "item 1, label[1]: is a mapping of keys: accepted"],
  ['[{"requestId":"a","score":1},"b"]', 400, "item 2: is not a mapping of keys"],
  ["null", 400, "body: is not a mapping of keys"],
])("%.80s is refused", async (body, status, message) => {
  expect(await post(body)).toEqual([status, expect.stringContaining(message)]);
  expect(taken).toEqual([]);
});

test("a mistake in a CSV file names its line, and a form's content type is refused", async () => {
  expect(await post("request_id,score\na,x\n", "text/csv")).toEqual([
    400,
    'line 2: score is "x"; accepted are numbers from 0 to 1',
  ]);
  expect(await post("{}", "text/plain")).toEqual([415, expect.stringContaining("text/plain")]);
});
