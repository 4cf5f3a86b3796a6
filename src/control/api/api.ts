import { OpenAPIHono } from "@hono/zod-openapi";
import type { Logger } from "pino";

import type { EndpointService, FeedbackService, GarbageService } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Clock } from "../../core/time/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import type { CountStore, EndpointStore, OperationStore } from "../../storage/store/index.ts";
import type { RegistryService } from "../registry/index.ts";
import { blobUpload } from "./blob-upload.ts";
import { endpointOperations } from "./endpoint-operations.ts";
import type { EventStreams } from "./event-stream.ts";
import { feedbackUpload } from "./feedback-upload.ts";
import { gcOperations } from "./gc-operations.ts";
import { incidentOperations } from "./incident-operations.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { modelOperations } from "./model-operations.ts";
import { ModelService } from "./model-service.ts";
import { notFound } from "./operation.ts";
import { problemOf, toResponse, type Answer } from "./problem.ts";
import { rootRoutes } from "./root-routes.ts";
import { checkFetchSite, checkHost, checkOrigin } from "./safety.ts";

/** What of the store the API itself reads and writes. */
export interface ApiStore {
  readonly operations: OperationStore;
  readonly counts: Pick<CountStore, "totals">;
  readonly endpoints: Pick<EndpointStore, "list">;
}

/** What the API passes requests on to. */
export interface ApiDeps {
  readonly registry: RegistryService;
  readonly endpoints: EndpointService;
  readonly feedback: FeedbackService;
  readonly garbage: GarbageService;
  readonly artifacts: Pick<Artifacts, "put">;
  readonly store: ApiStore;
  readonly clock: Clock;
  readonly build: string;
  /** Longest file that is taken, bytes. */
  readonly maxFileBytes?: number;
  readonly log: Logger;
}

/** The app: every route, what is refused before any of them, and how errors are answered. */
export function createApp(
  deps: ApiDeps,
  events: EventStreams,
  hosts: () => ReadonlySet<string>,
): OpenAPIHono {
  const app = new OpenAPIHono();
  const refuse = (thrown: unknown): Answer => {
    const error = LastgoodError.from(thrown);
    const cause = error.cause instanceof Error ? error.cause.stack : undefined;
    deps.log[error.traits.level](
      { code: error.code, details: error.details, cause },
      error.message,
    );
    return problemOf(error);
  };
  app.onError((error) => toResponse(refuse(error)));
  app.notFound((context) => notFound(context.req.method, context.req.path));
  app.use(async (context, next) => {
    const host = context.req.header("host");
    checkHost(host, hosts());
    checkOrigin(context.req.header("origin"), host);
    checkFetchSite({
      site: context.req.header("sec-fetch-site"),
      mode: context.req.header("sec-fetch-mode"),
      dest: context.req.header("sec-fetch-dest"),
    });
    await next();
  });
  const kept = new KeptAnswers(
    deps.store.operations,
    () => deps.clock.now(),
    (error) => deps.log.warn({ err: error }, "the answer to a keyed request is not kept"),
  );
  const operations = [
    ...modelOperations(new ModelService(deps)),
    ...endpointOperations(deps.endpoints),
    ...incidentOperations(deps.endpoints),
    ...gcOperations(deps.garbage),
  ];
  for (const put of operations) put(app, { kept, refuse });
  blobUpload(app, deps.artifacts, deps.maxFileBytes);
  feedbackUpload(app, deps.feedback);
  rootRoutes(app, { ...deps, events });
  return app;
}
