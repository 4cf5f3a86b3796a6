import { z } from "@hono/zod-openapi";

import {
  appliedPolicySchema,
  applyPolicyBodySchema,
  deployBodySchema,
  deployedSchema,
  doctorSchema,
  endpointViewSchema,
  historySchema,
  historyVerifiedSchema,
  policyViewSchema,
  reinstateBodySchema,
  rollbackBodySchema,
  rolledBackSchema,
  rolloutAnswerSchema,
  rolloutCommandSchema,
  statusSchema,
  type EndpointService,
} from "../../core/api/index.ts";
import { endpointNameSchema } from "../../core/version/index.ts";
import { operation, type Operation } from "./operation.ts";

const MAX_PAGE = 1_000;
const chosen = z.object({ endpoint: endpointNameSchema.optional() });
const named = z.object({ endpoint: endpointNameSchema });
const page = z.object({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
});

function commands(endpoints: EndpointService): readonly Operation[] {
  return [
    operation({
      method: "post",
      path: "/deploy",
      summary: "Starts a rollout, and makes the endpoint where there is none yet",
      body: deployBodySchema,
      answer: deployedSchema,
      keyed: true,
      run: ({ body, operation: id }) => endpoints.deploy(body, id),
    }),
    operation({
      method: "post",
      path: "/rollback",
      summary: "Returns an endpoint to its target, or to a named version",
      body: rollbackBodySchema,
      answer: rolledBackSchema,
      keyed: true,
      run: ({ body, operation: id }) => endpoints.rollback(body, id),
    }),
    operation({
      method: "post",
      path: "/reinstate",
      summary: "Takes back an endpoint's last rollback",
      body: reinstateBodySchema,
      answer: rolledBackSchema,
      keyed: true,
      run: ({ body, operation: id }) => endpoints.reinstate(body, id),
    }),
    operation({
      method: "post",
      path: "/rollout",
      summary: "Steers a rollout by hand: set-weight, pause, resume, promote, abort",
      body: rolloutCommandSchema,
      answer: rolloutAnswerSchema,
      keyed: true,
      run: ({ body, operation: id }) => endpoints.steer(body, id),
    }),
  ];
}

function views(endpoints: EndpointService): readonly Operation[] {
  return [
    operation({
      method: "get",
      path: "/rollout",
      summary: "The rollout under way, or the last one",
      query: chosen,
      answer: rolloutAnswerSchema,
      run: ({ query }) => endpoints.rollout(query.endpoint ?? null),
    }),
    operation({
      method: "get",
      path: "/status",
      summary: "Every endpoint, what serves, and what a rollback would do now",
      answer: statusSchema,
      run: () => endpoints.status(),
    }),
    operation({
      method: "get",
      path: "/doctor",
      summary: "Checks everything, proves every target, and says what a rollback would do",
      answer: doctorSchema,
      run: () => endpoints.doctor(),
    }),
    operation({
      method: "get",
      path: "/endpoints/{endpoint}",
      summary: "One endpoint",
      params: named,
      answer: endpointViewSchema,
      run: ({ params }) => endpoints.endpoint(params.endpoint),
    }),
  ];
}

function policies(endpoints: EndpointService): readonly Operation[] {
  return [
    operation({
      method: "put",
      path: "/endpoints/{endpoint}/policy",
      summary: "Puts a policy in force, and makes the endpoint where there is none yet",
      params: named,
      body: applyPolicyBodySchema,
      answer: appliedPolicySchema,
      keyed: true,
      run: ({ params, body, operation: id }) => endpoints.applyPolicy(params.endpoint, body, id),
    }),
    operation({
      method: "get",
      path: "/endpoints/{endpoint}/policy",
      summary: "The policy in force at an endpoint",
      params: named,
      answer: policyViewSchema,
      run: ({ params }) => endpoints.policy(params.endpoint),
    }),
    operation({
      method: "get",
      path: "/policy",
      summary: "The policy in force at an endpoint, by default the only one",
      query: chosen,
      answer: policyViewSchema,
      run: ({ query }) => endpoints.policy(query.endpoint ?? null),
    }),
  ];
}

function histories(endpoints: EndpointService): readonly Operation[] {
  return [
    operation({
      method: "get",
      path: "/endpoints/{endpoint}/history",
      summary: "A page of an endpoint's history, oldest first",
      params: named,
      query: page,
      answer: historySchema,
      run: ({ params, query }) => endpoints.history(params.endpoint, query.after, query.limit),
    }),
    operation({
      method: "get",
      path: "/history",
      summary: "A page of the history of an endpoint, by default the only one",
      query: page.extend(chosen.shape),
      answer: historySchema,
      run: ({ query }) => endpoints.history(query.endpoint ?? null, query.after, query.limit),
    }),
    operation({
      method: "get",
      path: "/history/verify",
      summary: "Recomputes the hash chain of a history",
      query: chosen.extend({ expect: z.string().max(200).optional() }),
      answer: historyVerifiedSchema,
      run: ({ query }) => endpoints.verifyHistory(query.endpoint ?? null, query.expect ?? null),
    }),
  ];
}

/** Operations on endpoints, rollouts and histories. */
export function endpointOperations(endpoints: EndpointService): readonly Operation[] {
  return [
    ...commands(endpoints),
    ...views(endpoints),
    ...policies(endpoints),
    ...histories(endpoints),
  ];
}
