import { z } from "@hono/zod-openapi";

import {
  endpointTrafficSchema,
  evidencePageSchema,
  incidentSchema,
  incidentsSchema,
  type EndpointService,
} from "../../core/api/index.ts";
import { endpointNameSchema } from "../../core/version/index.ts";
import { operation, type Operation } from "./operation.ts";

const chosen = z.object({ endpoint: endpointNameSchema.optional() });
const byId = z.object({ id: z.string().min(1).max(200) });

/** Operations that say why something happened, from what is stored. */
export function incidentOperations(endpoints: EndpointService): readonly Operation[] {
  return [
    operation({
      method: "get",
      path: "/incidents",
      summary: "Rollbacks, the newest first; of all endpoints where none is named",
      query: chosen,
      answer: incidentsSchema,
      run: ({ query }) => endpoints.incidents(query.endpoint ?? null),
    }),
    operation({
      method: "get",
      path: "/incidents/{id}",
      summary:
        "What broke, what was seen and what was done: by the id of a rollback or of its rollout, or the beginning of one",
      params: byId,
      answer: incidentSchema,
      run: ({ params }) => endpoints.incident(params.id),
    }),
    operation({
      method: "get",
      path: "/evidence/{id}",
      summary:
        "A page of what a rollout was judged by: its plan and its intervals, to compute every verdict again",
      params: byId,
      query: z.object({ cursor: z.string().max(100_000).optional() }),
      answer: evidencePageSchema,
      run: ({ params, query }) => endpoints.evidence(params.id, query.cursor ?? null),
    }),
    operation({
      method: "get",
      path: "/traffic",
      summary: "What the stable revision of an endpoint did at rest, by default of the only one",
      query: chosen,
      answer: endpointTrafficSchema,
      run: ({ query }) => endpoints.traffic(query.endpoint ?? null),
    }),
  ];
}
