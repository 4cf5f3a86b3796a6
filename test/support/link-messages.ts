/** Messages of the link as a healthy system sends them, for tests of schemas and order. */
import { DEFAULT_LIMITS, routeSchema, type Route } from "../../src/link/route/index.ts";
import { digestOf, signatureOf } from "./rollout-facts.ts";

function revision(number: number): unknown {
  return {
    revision: number,
    version: { model: "fraud", name: `v1.${number}`, sequence: number },
    digest: digestOf(number),
    runtime: { kind: "onnx", file: "model.onnx" },
    files: [{ path: "model.onnx", digest: digestOf(100 + number), size: 10 }],
    signature: signatureOf(),
    contract: signatureOf(),
    batching: { on: true },
    golden: [],
    limits: DEFAULT_LIMITS,
  };
}

/** A route of one endpoint that serves one revision and could go back to another. */
export function routeOf(order = { generation: 1, epoch: 2, sequence: 3 }): Route {
  return routeSchema.parse({
    endpoint: "fraud-prod",
    model: "fraud",
    environment: "production",
    order,
    split: { salt: "s", arms: [{ revision: 2, weight: 100 }] },
    revisions: [revision(2), revision(1)],
    hold: null,
    historyHead: null,
    rolledBack: null,
    acknowledges: [],
    targets: [
      { revision: 1, version: "v1.1", digest: digestOf(1), provenAt: 1, why: "the newest stable" },
    ],
    passedOver: [],
  });
}
