import { LastgoodError, unreachable } from "../../core/errors/index.ts";
import type { OutputSpec } from "../../core/version/index.ts";
import type { ModelFacts, ProtocolAnswer, StatusAddress, StatusFacts } from "../protocol/index.ts";

/** Extensions of the protocol that are served, as server metadata lists them. */
const EXTENSIONS = ["binary_tensor_data"] as const;

function json(code: number, body: unknown): ProtocolAnswer {
  return {
    status: code,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** A sequence of maps is answered as a matrix: a row for each row, a column for each key. */
function tensorMetadata(spec: OutputSpec): TensorMetadata {
  return spec.kind === "tensor"
    ? { name: spec.name, datatype: spec.dtype, shape: spec.shape }
    : { name: spec.name, datatype: spec.valueDtype, shape: [-1, -1] };
}

function modelOf(facts: StatusFacts): ModelFacts {
  if (facts.model !== null) return facts.model;
  throw new LastgoodError("endpoint.not-found", "no endpoint is served under this name", {
    details: { endpoints: facts.endpoints },
  });
}

function modelMetadata({ endpoint, versions, platform, contract }: ModelFacts): ProtocolAnswer {
  return json(200, {
    name: endpoint,
    versions,
    platform,
    inputs: contract.inputs.map(tensorMetadata),
    outputs: contract.outputs.map(tensorMetadata),
  });
}

/**
 * Answers `/v2`, its health and its model metadata. Clients look at the status alone; the bodies are
 * the specification's, with `ready` where its text says `live` for readiness by mistake.
 * @throws `endpoint.not-found` for a model question without a model.
 */
export function status(address: StatusAddress, facts: StatusFacts): ProtocolAnswer {
  switch (address.kind) {
    case "live":
      return json(200, { live: true });
    case "ready":
      return json(facts.ready ? 200 : 503, { ready: facts.ready });
    case "server":
    case "version":
      return json(200, { name: "lastgood", version: facts.build, extensions: EXTENSIONS });
    case "models":
      return json(200, { models: facts.endpoints });
    case "model":
      return modelMetadata(modelOf(facts));
    case "model-ready": {
      const { endpoint, ready } = modelOf(facts);
      return json(ready ? 200 : 503, { name: endpoint, ready });
    }
    default:
      return unreachable(address);
  }
}
