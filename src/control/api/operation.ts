import { z, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";

import { LastgoodError, plainWords } from "../../core/errors/index.ts";
import { readJson } from "./json-body.ts";
import { operationOf, parseIdempotencyKey, type KeptAnswers } from "./kept-answers.ts";
import { invalidInput, toResponse, type Answer } from "./problem.ts";
import { checkContentType } from "./safety.ts";

type Shape = z.ZodObject;
type Out<T> = T extends z.ZodType ? z.output<T> : undefined;

/** One method of one path: how its input is read, what it calls, what it answers. */
export interface OperationSpec<
  P extends Shape | undefined,
  Q extends Shape | undefined,
  B extends z.ZodType | undefined,
> {
  readonly method: "get" | "post" | "put" | "delete";
  /** Below `/api/v1`; parameters as `{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly answer: z.ZodType;
  /** Takes an `Idempotency-Key`. */
  readonly keyed?: boolean;
  readonly run: (input: {
    readonly params: Out<P>;
    readonly query: Out<Q>;
    readonly body: Out<B>;
    /** Of a request with an `Idempotency-Key`: the same for the same request. */
    readonly operation: string | undefined;
  }) => unknown;
}

/** What every operation shares. */
export interface OperationContext {
  readonly kept: KeptAnswers;
  /** The answer an error becomes, once it is logged. */
  readonly refuse: (error: unknown) => Answer;
}

/** Puts an operation on the app and into its OpenAPI document. */
export type Operation = (app: OpenAPIHono, shared: OperationContext) => void;

/** Where every operation lies. */
export const API_PREFIX = "/api/v1";

function parsePart<T extends z.ZodType>(
  where: "path" | "query" | "body",
  schema: T,
  value: unknown,
): z.output<T> {
  const parsed = schema.safeParse(value, { error: plainWords });
  if (!parsed.success) throw invalidInput(where, parsed.error);
  return parsed.data;
}

/** A field that is not known is refused: ignored, it would be a wish that nobody hears. */
function strict<T extends z.ZodType>(schema: T): T | z.ZodObject {
  return schema instanceof z.ZodObject ? schema.strict() : schema;
}

/** An operation of the API; its input is refused before `run` sees it. */
export function operation<
  P extends Shape | undefined = undefined,
  Q extends Shape | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(spec: OperationSpec<P, Q, B>): Operation {
  const { params, query, body } = spec;
  const run = async (context: Context, value: unknown, id?: string): Promise<Answer> => {
    const answered: unknown = await spec.run({
      params: (params && parsePart("path", params, context.req.param())) as Out<P>,
      query: (query && parsePart("query", strict(query), context.req.query())) as Out<Q>,
      body: (body && parsePart("body", strict(body), value)) as Out<B>,
      operation: id,
    });
    return { status: 200, text: JSON.stringify(answered) };
  };
  const handle = async (context: Context, shared: OperationContext): Promise<Response> => {
    if (body === undefined) return toResponse(await run(context, undefined));
    checkContentType(context.req.header("content-type"), "application/json");
    const { text, value } = await readJson(context.req.raw);
    const header = spec.keyed === true ? context.req.header("idempotency-key") : undefined;
    if (header === undefined) return toResponse(await run(context, value));
    const key = parseIdempotencyKey(header);
    const { method, path } = context.req;
    const request = { key, method, path, text };
    const answer = await shared.kept.once(request, () =>
      run(context, value, operationOf(request)).catch(shared.refuse),
    );
    return toResponse(answer);
  };
  return (app, shared) => {
    app.openAPIRegistry.registerPath(describe(spec));
    const path = `${API_PREFIX}${spec.path.replaceAll(/\{(\w+)\}/g, ":$1")}`;
    app.on(spec.method.toUpperCase(), path, (context) => handle(context, shared));
  };
}

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
  passedOver: z.array(z.object({ version: z.string(), why: z.string() })),
});

/** The problem details every operation may answer, for its OpenAPI description. */
export const PROBLEM_RESPONSE = {
  description: "What was wrong, what is accepted, what to do next (RFC 9457)",
  content: { "application/problem+json": { schema: problemSchema } },
};

type PathConfig = Parameters<OpenAPIHono["openAPIRegistry"]["registerPath"]>[0];

function describe(
  spec: OperationSpec<Shape | undefined, Shape | undefined, z.ZodType | undefined>,
): PathConfig {
  const headers = z.object({ "idempotency-key": z.string().max(200).optional() });
  return {
    method: spec.method,
    path: `${API_PREFIX}${spec.path}`,
    summary: spec.summary,
    request: {
      ...(spec.params === undefined ? {} : { params: spec.params }),
      ...(spec.query === undefined ? {} : { query: spec.query }),
      ...(spec.keyed === true ? { headers } : {}),
      ...(spec.body === undefined
        ? {}
        : { body: { required: true, content: { "application/json": { schema: spec.body } } } }),
    },
    responses: {
      200: { description: "Done", content: { "application/json": { schema: spec.answer } } },
      default: PROBLEM_RESPONSE,
    },
  };
}

/** @throws `route.not-found`, naming what was asked for. */
export function notFound(method: string, path: string): never {
  throw new LastgoodError("route.not-found", `nothing answers ${method} ${path.slice(0, 200)}`, {
    hint: "GET /openapi.json lists every path",
  });
}
