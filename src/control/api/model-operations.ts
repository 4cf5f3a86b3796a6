import { z } from "@hono/zod-openapi";

import {
  aliasBodySchema,
  archiveBodySchema,
  diffSchema,
  markBodySchema,
  markedSchema,
  modelSummarySchema,
  registerBodySchema,
  registeredSchema,
  tagBodySchema,
  versionSummarySchema,
  versionViewSchema,
} from "../../core/api/index.ts";
import { modelNameSchema } from "../../core/version/index.ts";
import type { ModelService } from "./model-service.ts";
import { operation, type Operation } from "./operation.ts";

const text = z.string().min(1).max(300);
const ofModel = z.object({ model: modelNameSchema });
/** A name, a sequence number or `@alias`. */
const ofVersion = ofModel.extend({ selector: text });
const ofAlias = ofModel.extend({ alias: text });
const listed = z.object({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().positive().optional(),
});
const resolvedSchema = z.object({ model: modelNameSchema, version: versionViewSchema.nullable() });

function reads(service: ModelService): readonly Operation[] {
  return [
    operation({
      method: "get",
      path: "/models",
      summary: "Registered models",
      answer: z.array(modelSummarySchema),
      run: () => service.models(),
    }),
    operation({
      method: "get",
      path: "/models/{model}/versions",
      summary: "Versions of a model by sequence number",
      params: ofModel,
      query: listed,
      answer: z.array(versionSummarySchema),
      run: ({ params, query }) =>
        service.versions(params.model, { after: query.after, limit: query.limit ?? null }),
    }),
    operation({
      method: "get",
      path: "/models/{model}/versions/{selector}",
      summary: "Everything about a version",
      params: ofVersion,
      answer: versionViewSchema,
      run: ({ params }) => service.version(params.model, params.selector),
    }),
    operation({
      method: "get",
      path: "/models/{model}/diff",
      summary: "Two versions side by side",
      params: ofModel,
      query: z.object({ left: text, right: text }),
      answer: diffSchema,
      run: ({ params, query }) => service.diff(params.model, query.left, query.right),
    }),
    operation({
      method: "post",
      path: "/resolve",
      summary: "What a version reference stands for",
      body: z.object({ reference: text }),
      answer: resolvedSchema,
      run: ({ body }) => service.resolve(body.reference),
    }),
  ];
}

function changes(service: ModelService): readonly Operation[] {
  return [
    operation({
      method: "post",
      path: "/models/{model}/versions",
      summary: "Registers a version of files uploaded before",
      params: ofModel,
      body: registerBodySchema,
      answer: registeredSchema,
      keyed: true,
      run: ({ params, body }) => service.register(params.model, body),
    }),
    operation({
      method: "post",
      path: "/models/{model}/versions/{selector}/tags",
      summary: "Sets and removes tags of a version",
      params: ofVersion,
      body: tagBodySchema,
      answer: versionSummarySchema,
      run: ({ params, body }) => service.tag(params.model, params.selector, body),
    }),
    operation({
      method: "put",
      path: "/models/{model}/aliases/{alias}",
      summary: "Points an alias at a version",
      params: ofAlias,
      body: aliasBodySchema,
      answer: versionSummarySchema,
      run: ({ params, body }) => service.setAlias(params.model, params.alias, body),
    }),
    operation({
      method: "delete",
      path: "/models/{model}/aliases/{alias}",
      summary: "Removes an alias",
      params: ofAlias,
      body: aliasBodySchema.pick({ actor: true }),
      answer: z.object({ model: modelNameSchema, alias: z.string() }),
      run: async ({ params, body }) => {
        await service.deleteAlias(params.model, params.alias, body.actor);
        return params;
      },
    }),
  ];
}

function verdicts(service: ModelService): readonly Operation[] {
  return [
    operation({
      method: "post",
      path: "/models/{model}/versions/{selector}/mark",
      summary: "A person's verdict on a version, carried to the endpoints that know it",
      params: ofVersion,
      body: markBodySchema,
      answer: markedSchema,
      keyed: true,
      run: ({ params, body, operation: id }) =>
        service.mark(params.model, params.selector, body, id),
    }),
    operation({
      method: "post",
      path: "/models/{model}/versions/{selector}/archive",
      summary: "Archives a version that no endpoint needs",
      params: ofVersion,
      body: archiveBodySchema,
      answer: versionSummarySchema,
      keyed: true,
      run: ({ params, body, operation: id }) =>
        service.archive(params.model, params.selector, body, id),
    }),
  ];
}

/** Operations on models and their versions. */
export function modelOperations(service: ModelService): readonly Operation[] {
  return [...reads(service), ...changes(service), ...verdicts(service)];
}
