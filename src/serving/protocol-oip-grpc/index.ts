import type { GrpcAddress, GrpcMethod, GrpcProtocol } from "../protocol/index.ts";
import {
  healthAddress,
  inferAddress,
  modelAddress,
  REFUSED_METHODS,
  refusedAddress,
  serverAddress,
  SERVICE,
} from "./address.ts";
import { decode } from "./decode.ts";
import { encode, inferMessage, readOutputs } from "./encode.ts";
import { encodeError } from "./error.ts";
import { health, status } from "./status.ts";

function method(name: string, address: (message: Buffer) => GrpcAddress): GrpcMethod {
  const isStreaming = name === "ModelStreamInfer";
  return { path: `/${SERVICE}/${name}`, isStreaming, address, status };
}

const methods: readonly GrpcMethod[] = [
  method("ServerLive", () => serverAddress("live")),
  method("ServerReady", () => serverAddress("ready")),
  method("ServerMetadata", () => serverAddress("server")),
  method("ModelReady", (message) => modelAddress("model-ready", message)),
  method("ModelMetadata", (message) => modelAddress("model", message)),
  method("ModelInfer", inferAddress),
  ...REFUSED_METHODS.map((name) => method(name, () => refusedAddress(name))),
  {
    path: "/grpc.health.v1.Health/Check",
    isStreaming: false,
    address: healthAddress,
    status: health,
  },
];

/**
 * Open Inference Protocol v2 over gRPC (https://github.com/kserve/open-inference-protocol), and gRPC's
 * health check.
 */
export const oipGrpc: GrpcProtocol = {
  name: "oip-grpc",
  methods,
  inferPath: `/${SERVICE}/ModelInfer`,
  decode,
  encode,
  encodeError,
  inferMessage,
  readOutputs,
};
