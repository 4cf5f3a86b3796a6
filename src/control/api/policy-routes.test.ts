import { pino } from "pino";
import { expect, test } from "vitest";

import type { ApplyPolicyBody, EndpointService } from "../../core/api/index.ts";
import { policyJsonSchema } from "../../core/policy/index.ts";
import { createApp, type ApiDeps } from "./api.ts";
import { EventStreams } from "./event-stream.ts";

const calls: string[] = [];
const endpoints = {
  watch: () => () => undefined,
  applyPolicy: (endpoint: string, body: ApplyPolicyBody) => {
    const { policy, reason, dryRun } = body;
    calls.push(`apply ${endpoint} ${String(policy["model"])} ${String(reason)} ${dryRun}`);
    return Promise.resolve({ endpoint });
  },
  policy: (endpoint: string | null) => {
    calls.push(`policy ${String(endpoint)}`);
    return { endpoint };
  },
} as unknown as EndpointService;

const app = createApp(
  {
    endpoints,
    store: { operations: {} },
    clock: { now: () => 1 },
    log: pino({ level: "silent" }),
  } as unknown as ApiDeps,
  new EventStreams(endpoints),
  () => new Set(["127.0.0.1:1"]),
);

async function send(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const response = await app.request(`http://127.0.0.1:1${path}`, {
    method,
    headers: { host: "127.0.0.1:1", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return [response.status, await response.json()];
}

test("a policy is put where its path says; the form of its file is the service's to judge", async () => {
  const path = "/api/v1/endpoints/fraud-prod/policy";
  const body = { policy: { model: "fraud", rollot: 1 }, actor: "ann" };
  expect(await send("PUT", path, body)).toEqual([200, { endpoint: "fraud-prod" }]);
  await send("PUT", path, { ...body, dryRun: true, reason: "calmer" });
  expect(await send("PUT", path, { ...body, policy: "lastgood.yaml" })).toMatchObject([
    400,
    { code: "input.invalid" },
  ]);
  await send("GET", path);
  await send("GET", "/api/v1/policy");
  expect(calls).toEqual([
    "apply fraud-prod fraud null false",
    "apply fraud-prod fraud calmer true",
    "policy fraud-prod",
    "policy null",
  ]);
});

test("the schema of policy files is served for editors", async () => {
  expect(await send("GET", "/schemas/lastgood.json")).toEqual([200, policyJsonSchema()]);
});
