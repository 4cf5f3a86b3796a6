import type { z } from "zod";

import { isErrorCode, LastgoodError, pathText, plainIssues } from "../../core/errors/index.ts";

/** Media type of RFC 9457 problem details. */
const PROBLEM_TYPE = "application/problem+json";

/** So many mistakes are told at once. */
const MOST_ISSUES = 10;

/** An answer ready to be sent: JSON text, so that a kept one is repeated to the byte. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Problem details (RFC 9457) of an error, with the members every wire form of it has. */
export function problemOf(error: LastgoodError): Answer {
  const { http, title } = error.traits;
  const body = error.toBody();
  return {
    status: http,
    text: JSON.stringify({
      type: `urn:lastgood:error:${error.code}`,
      title,
      status: http,
      detail: error.message,
      ...body,
    }),
  };
}

/** Response of an answer; anything from 400 on is a problem. */
export function toResponse(answer: Answer): Response {
  return new Response(answer.text, {
    status: answer.status,
    headers: {
      "content-type": answer.status >= 400 ? PROBLEM_TYPE : "application/json",
      "cache-control": "no-store",
    },
  });
}

/** `body.files[0].path`; of a list, which item: `item 2, score`. */
function placeOf(where: string, path: readonly PropertyKey[]): string {
  const [first, ...rest] = path;
  if (typeof first !== "number") return pathText([where, ...path]);
  const item = `item ${first + 1}`;
  return rest.length === 0 ? item : `${item}, ${pathText(rest)}`;
}

/**
 * What was wrong with one part of a request, as an error that names the path and what is accepted.
 * A name that our own parsers refused keeps their code and hint; `example` is the hint of everything else.
 */
export function invalidInput(
  where: "path" | "query" | "body",
  error: z.ZodError,
  example = "GET /openapi.json describes what is accepted",
): LastgoodError {
  const issues = plainIssues(error)
    .slice(0, MOST_ISSUES)
    .map(({ path, message }) => ({ path: placeOf(where, path), message }));
  const first = error.issues[0];
  const params: Record<string, unknown> = first?.code === "custom" ? (first.params ?? {}) : {};
  const own = params["code"];
  const hint = params["hint"];
  return new LastgoodError(
    isErrorCode(own) ? own : "input.invalid",
    issues.map((issue) => `${issue.path}: ${issue.message}`).join("; "),
    {
      hint: typeof hint === "string" ? hint : example,
      details: { issues },
    },
  );
}
