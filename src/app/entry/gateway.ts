import { setFlagsFromString } from "node:v8";

import type { RuntimeSpec } from "../../core/version/index.ts";
import { readStartup } from "../../link/startup/index.ts";
import {
  gatewayConfigSchema,
  runGateway,
  type GatewayConfig,
} from "../../serving/gateway/index.ts";
import { mlflow } from "../../serving/protocol-mlflow/index.ts";
import { oip } from "../../serving/protocol-oip/index.ts";
import { tfserving } from "../../serving/protocol-tfserving/index.ts";
import { OnnxRuntime } from "../../serving/runtime-onnx/index.ts";
import { PassThroughRuntime } from "../../serving/runtime-passthrough/index.ts";
import { ProcessRuntime } from "../../serving/runtime-process/index.ts";
import type { Runtime } from "../../serving/runtime/index.ts";
import { processLog } from "../log/index.ts";

/** Loads the remote runtime's HTTP client with the first remote version: few gateways have one. */
function remoteRuntime({ remotes }: GatewayConfig): Runtime {
  let made: Promise<Runtime> | null = null;
  const runtime = async (): Promise<Runtime> => {
    const { RemoteRuntime } = await import("../../serving/runtime-remote/index.ts");
    return new RemoteRuntime(
      Object.fromEntries(
        Object.entries(remotes).flatMap(([name, { url, protocol, model = name, retries }]) =>
          protocol === "passthrough" ? [] : [[name, { url, protocol, model, retries }]],
        ),
      ),
    );
  };
  const passThrough = new PassThroughRuntime(
    Object.fromEntries(
      Object.entries(remotes).flatMap(([name, { url, protocol, health = null, retries }]) =>
        protocol === "passthrough" ? [[name, { url, health, retries }]] : [],
      ),
    ),
  );
  const of = async (spec: RuntimeSpec): Promise<Runtime> => {
    const remote = spec.kind === "remote" ? remotes[spec.remote] : undefined;
    return remote?.protocol === "passthrough" ? passThrough : (made ??= runtime());
  };
  return {
    load: async (subject, revision) => (await of(revision.runtime)).load(subject, revision),
    inspect: async (request) => (await of(request.runtime)).inspect(request),
  };
}

const config = gatewayConfigSchema.parse(readStartup());
const logger = processLog("gateway");

// It holds for threads started from here on: the workers. The main thread keeps the little that the
// supervisor gave it.
setFlagsFromString("--max-semi-space-size=16");

void runGateway({
  config,
  runtimes: {
    onnx: new OnnxRuntime(config),
    remote: remoteRuntime(config),
    process: new ProcessRuntime(config),
  },
  protocols: [oip, mlflow, tfserving],
  grpc: async () => (await import("../../serving/protocol-oip-grpc/index.ts")).oipGrpc,
  log: (level, message, fields = {}) => logger[level](fields, message),
});
