import { create, toBinary } from "@bufbuild/protobuf";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputSpec } from "../../core/version/index.ts";
import type { ModelFacts, ProtocolAnswer, StatusAddress, StatusFacts } from "../protocol/index.ts";
import { bufferOf } from "./encode.ts";
import { HealthCheckResponseSchema } from "./health_pb.ts";
import {
  ModelMetadataResponseSchema,
  ModelReadyResponseSchema,
  ServerLiveResponseSchema,
  ServerMetadataResponseSchema,
  ServerReadyResponseSchema,
} from "./inference_pb.ts";

const SERVING = 1;
const NOT_SERVING = 2;

function answer(bytes: Uint8Array): ProtocolAnswer {
  return { status: 0, headers: {}, body: bufferOf(bytes) };
}

function modelOf(facts: StatusFacts): ModelFacts {
  if (facts.model !== null) return facts.model;
  throw new LastgoodError("endpoint.not-found", "no endpoint is served under this name", {
    details: { endpoints: facts.endpoints },
  });
}

interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: bigint[];
}

/** A sequence of maps is answered as a matrix: a row for each row, a column for each key. */
function tensorMetadata(spec: OutputSpec): TensorMetadata {
  return spec.kind === "tensor"
    ? { name: spec.name, datatype: spec.dtype, shape: spec.shape.map(BigInt) }
    : { name: spec.name, datatype: spec.valueDtype, shape: [-1n, -1n] };
}

function modelMetadata({ endpoint, versions, platform, contract }: ModelFacts): ProtocolAnswer {
  const response = create(ModelMetadataResponseSchema, {
    name: endpoint,
    versions: [...versions],
    platform,
    inputs: contract.inputs.map(tensorMetadata),
    outputs: contract.outputs.map(tensorMetadata),
  });
  return answer(toBinary(ModelMetadataResponseSchema, response));
}

/**
 * Answers ServerLive, ServerReady, ServerMetadata, ModelReady and ModelMetadata. No extensions are
 * listed: those of the protocol concern REST.
 * @throws `endpoint.not-found` for a model question without a model.
 */
export function status(address: StatusAddress, facts: StatusFacts): ProtocolAnswer {
  switch (address.kind) {
    case "live":
      return answer(
        toBinary(ServerLiveResponseSchema, create(ServerLiveResponseSchema, { live: true })),
      );
    case "ready": {
      const { ready } = facts;
      return answer(
        toBinary(ServerReadyResponseSchema, create(ServerReadyResponseSchema, { ready })),
      );
    }
    case "server":
    case "version":
    case "models": {
      const response = create(ServerMetadataResponseSchema, {
        name: "lastgood",
        version: facts.build,
      });
      return answer(toBinary(ServerMetadataResponseSchema, response));
    }
    case "model-ready": {
      const { ready } = modelOf(facts);
      return answer(
        toBinary(ModelReadyResponseSchema, create(ModelReadyResponseSchema, { ready })),
      );
    }
    case "model":
      return modelMetadata(modelOf(facts));
  }
}

/** Answers gRPC's health check, of the server or of an endpoint. */
export function health(address: StatusAddress, facts: StatusFacts): ProtocolAnswer {
  const ready = address.kind === "model-ready" ? modelOf(facts).ready : facts.ready;
  const response = create(HealthCheckResponseSchema, { status: ready ? SERVING : NOT_SERVING });
  return answer(toBinary(HealthCheckResponseSchema, response));
}
