import { setFlagsFromString } from "node:v8";

import { pino } from "pino";

import {
  gatewayConfigSchema,
  runGateway,
  type GatewayConfig,
} from "../../serving/gateway/index.ts";
import { mlflow } from "../../serving/protocol-mlflow/index.ts";
import { oip } from "../../serving/protocol-oip/index.ts";
import { OnnxRuntime } from "../../serving/runtime-onnx/index.ts";
import { ProcessRuntime } from "../../serving/runtime-process/index.ts";
import type { Runtime } from "../../serving/runtime/index.ts";

/** Loads the remote runtime's HTTP client with the first remote version: few gateways have one. */
function remoteRuntime({ remotes }: GatewayConfig): Runtime {
  let made: Promise<Runtime> | null = null;
  const runtime = async (): Promise<Runtime> => {
    const { RemoteRuntime } = await import("../../serving/runtime-remote/index.ts");
    return new RemoteRuntime(
      Object.fromEntries(
        Object.entries(remotes).map(([name, { model = name, ...remote }]) => [
          name,
          { ...remote, model },
        ]),
      ),
    );
  };
  return {
    load: async (subject, revision) => (await (made ??= runtime())).load(subject, revision),
    inspect: async (request) => (await (made ??= runtime())).inspect(request),
  };
}

const config = gatewayConfigSchema.parse(JSON.parse(process.argv[2] ?? "{}"));
const logger = pino({ base: { role: "gateway", pid: process.pid } });

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
  protocols: [oip, mlflow],
  log: (level, message, fields = {}) => logger[level](fields, message),
});
