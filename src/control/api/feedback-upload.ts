import { z, type OpenAPIHono } from "@hono/zod-openapi";

import {
  feedbackItemSchema,
  feedbackTakenSchema,
  type FeedbackItem,
  type FeedbackService,
} from "../../core/api/index.ts";
import { plainWords } from "../../core/errors/index.ts";
import { readFeedbackCsv } from "../signals/index.ts";
import { JSON_LIMITS, readJson, readText } from "./json-body.ts";
import { API_PREFIX, PROBLEM_RESPONSE } from "./operation.ts";
import { invalidInput, toResponse } from "./problem.ts";
import { checkContentType } from "./safety.ts";

const JSON_TYPE = "application/json";
const CSV_TYPE = "text/csv";
/** Most items of one JSON body; more come as CSV. */
const MOST_ITEMS = 10_000;

const EXAMPLE =
  'accepted are {"requestId": "…", "correct": true}, with "label" or "score" in its place, a list of these, or text/csv';

const list = z.array(feedbackItemSchema).min(1).max(MOST_ITEMS);

async function itemsOf(request: Request): Promise<readonly FeedbackItem[]> {
  const type = request.headers.get("content-type") ?? undefined;
  if (type?.toLowerCase().split(";")[0]?.trim() === CSV_TYPE) {
    checkContentType(type, CSV_TYPE);
    return readFeedbackCsv(await readText(request, JSON_LIMITS));
  }
  checkContentType(type, JSON_TYPE);
  const { value } = await readJson(request);
  const schema = Array.isArray(value) ? list : feedbackItemSchema;
  const parsed = schema.safeParse(value, { error: plainWords });
  if (!parsed.success) throw invalidInput("body", parsed.error, EXAMPLE);
  return Array.isArray(parsed.data) ? parsed.data : [parsed.data];
}

/** Puts the intake of feedback on the app: JSON, one or many, or a CSV file. */
export function feedbackUpload(app: OpenAPIHono, feedback: FeedbackService): void {
  const path = `${API_PREFIX}/feedback`;
  app.openAPIRegistry.registerPath({
    method: "post",
    path,
    summary: "Tells what is known of predictions: correct, label or score, by request id",
    request: {
      body: {
        required: true,
        content: {
          [JSON_TYPE]: { schema: z.union([feedbackItemSchema, list]) },
          [CSV_TYPE]: { schema: z.string() },
        },
      },
    },
    responses: {
      200: {
        description: "What became of it",
        content: { "application/json": { schema: feedbackTakenSchema } },
      },
      default: PROBLEM_RESPONSE,
    },
  });
  app.post(path, async (context) => {
    const taken = await feedback.take(await itemsOf(context.req.raw));
    return toResponse({ status: 200, text: JSON.stringify(taken) });
  });
}
