import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

import { requestInvalid, type GrpcAddress } from "../protocol/index.ts";

const protocol = "oip-grpc" as const;

/** The service, as its paths name it. */
export const SERVICE = "inference.GRPCInferenceService";

/** Where a message says what it is for: both are its fields 1 and 2, whatever the message. */
interface Named {
  readonly endpoint: string | null;
  readonly version: string | null;
}

/** Looks at the two fields alone: the tensors between are skipped, not read. */
function named(message: Buffer): Named {
  let endpoint = "";
  let version = "";
  try {
    const reader = new BinaryReader(message);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      const isText = wire === WireType.LengthDelimited;
      if (field === 1 && isText) endpoint = reader.string();
      else if (field === 2 && isText) version = reader.string();
      else reader.skip(wire, field);
    }
  } catch (error) {
    throw notAMessage(error);
  }
  return {
    endpoint: endpoint === "" ? null : endpoint,
    version: version === "" ? null : version,
  };
}

/** The error of bytes that are not the message they should be. */
export function notAMessage(error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return requestInvalid(`the message cannot be read: ${why}`, {
    where: "message",
    accepted: `a protobuf message of ${SERVICE}`,
  });
}

/** What a method asks for, from its message. @throws `request.invalid`. */
export function inferAddress(message: Buffer): GrpcAddress {
  return { kind: "infer", protocol, ...named(message) };
}

/** A question about a model. @throws `request.invalid`. */
export function modelAddress(kind: "model" | "model-ready", message: Buffer): GrpcAddress {
  return { kind, protocol, ...named(message) };
}

/** A question about the server. */
export function serverAddress(kind: "live" | "ready" | "server"): GrpcAddress {
  return { kind, protocol };
}

/** The readiness of one service, of the whole server where it names none, or of an endpoint. */
export function healthAddress(message: Buffer): GrpcAddress {
  const { endpoint } = named(message);
  return endpoint === null || endpoint === SERVICE
    ? serverAddress("ready")
    : { kind: "model-ready", protocol, endpoint, version: null };
}

/** Methods that Triton's service has beyond the protocol, and what to use here instead. */
const REFUSED: Readonly<Record<string, string>> = {
  ModelStreamInfer: "call ModelInfer: answers are not streamed",
  ModelConfig: "ModelMetadata has the inputs and outputs",
  ModelStatistics: "the API port has the counts: /metrics",
  RepositoryIndex: "lastgood status lists what is served",
  RepositoryModelLoad: "deploy the version: lastgood deploy",
  RepositoryModelUnload: "take it out of service: lastgood rollback, or deploy another version",
  SystemSharedMemoryStatus: "send tensors in the message",
  SystemSharedMemoryRegister: "send tensors in the message",
  SystemSharedMemoryUnregister: "send tensors in the message",
  CudaSharedMemoryStatus: "send tensors in the message",
  CudaSharedMemoryRegister: "send tensors in the message",
  CudaSharedMemoryUnregister: "send tensors in the message",
  TraceSetting: "each answer names its request: x-lastgood-request-id",
  LogSettings: "logs are set where the server is started",
};

/** The names of those methods. */
export const REFUSED_METHODS: readonly string[] = Object.keys(REFUSED);

/** The refusal of one of them. */
export function refusedAddress(method: string): GrpcAddress {
  const why = `${method} is Triton's own and not part of the Open Inference Protocol: it is not served`;
  return { kind: "unsupported", protocol, why, hint: REFUSED[method] ?? "" };
}
