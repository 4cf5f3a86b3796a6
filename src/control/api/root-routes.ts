import type { OpenAPIHono } from "@hono/zod-openapi";

import type { Assessment } from "../../core/analysis/index.ts";
import type { EndpointService } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { POLICY_SCHEMA_PATH, policyJsonSchema } from "../../core/policy/index.ts";
import type { CountStore } from "../../storage/store/index.ts";
import { parseEventId, type EventStreams } from "./event-stream.ts";
import { exposition, EXPOSITION_TYPE } from "./exposition.ts";
import { metricsOf } from "./metrics.ts";
import { API_PREFIX } from "./operation.ts";
import { toResponse } from "./problem.ts";
import { RollbackTotals } from "./rollback-totals.ts";

/** What the routes beside the operations need. */
export interface RootDeps {
  readonly endpoints: EndpointService;
  readonly store: { readonly counts: Pick<CountStore, "totals"> };
  readonly events: EventStreams;
  readonly build: string;
}

async function metricsText(deps: RootDeps, totals: RollbackTotals): Promise<string> {
  const status = await deps.endpoints.status();
  const names = status.endpoints.map((endpoint) => endpoint.name);
  const counts = await Promise.all(names.map((name) => deps.store.counts.totals(name)));
  const rollbacks = await totals.upToNow(names);
  const assessments = new Map<string, Assessment>();
  for (const { name, rollout } of status.endpoints) {
    const answer = rollout === null ? null : await deps.endpoints.rollout(name);
    if (answer !== null && answer.assessment !== null) assessments.set(name, answer.assessment);
  }
  const { build } = deps;
  return exposition(metricsOf({ build, status, counts: counts.flat(), rollbacks, assessments }));
}

/** Puts probes, metrics, the OpenAPI document, the policy files' schema and the event stream on the app. */
export function rootRoutes(app: OpenAPIHono, deps: RootDeps): void {
  const totals = new RollbackTotals(deps.endpoints);
  app.get("/healthz", () => toResponse({ status: 200, text: '{"status":"ok"}' }));
  app.get("/readyz", () => {
    const readiness = deps.endpoints.readiness();
    const text = JSON.stringify(readiness);
    return new Response(text, {
      status: readiness.ready ? 200 : 503,
      headers: { "content-type": "application/json", "cache-control": "no-store" },
    });
  });
  app.get("/metrics", async () => {
    const text = await metricsText(deps, totals);
    return new Response(text, { headers: { "content-type": EXPOSITION_TYPE } });
  });
  let document: string | null = null;
  app.get("/openapi.json", () => {
    document ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: { title: "lastgood", version: "v1", description: "Production rollback for models" },
      }),
    );
    return toResponse({ status: 200, text: document });
  });
  let schema: string | null = null;
  app.get(POLICY_SCHEMA_PATH, () => {
    schema ??= JSON.stringify(policyJsonSchema());
    return toResponse({ status: 200, text: schema });
  });
  app.get(`${API_PREFIX}/events`, (context) => {
    const id = context.req.header("last-event-id");
    const endpoint = context.req.query("endpoint") ?? null;
    const position = id === undefined ? null : parseEventId(id);
    if (id !== undefined && position === null)
      throw new LastgoodError("input.invalid", "the Last-Event-ID header was not understood", {
        hint: "send the id of the last event back, or leave the header out",
      });
    return new Response(deps.events.open({ endpoint, position }), {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  });
}
