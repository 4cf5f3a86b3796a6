import { runWorker } from "../../serving/gateway/index.ts";
import { mlflow } from "../../serving/protocol-mlflow/index.ts";
import { oip } from "../../serving/protocol-oip/index.ts";
import { tfserving } from "../../serving/protocol-tfserving/index.ts";
import { connectModel } from "../../serving/runtime-onnx/index.ts";

runWorker({
  connectModel: async (address) => {
    if (address.kind === "onnx") return connectModel(address);
    // Few gateways need them.
    if (address.kind === "process") {
      const managed = await import("../../serving/runtime-process/index.ts");
      return managed.connectProcess(address);
    }
    if (address.kind === "passthrough") {
      if (address.shim !== null) {
        const managed = await import("../../serving/runtime-process/index.ts");
        return managed.connectUnread(address, address.shim);
      }
      const passed = await import("../../serving/runtime-passthrough/index.ts");
      return passed.connectPassThrough(address);
    }
    const remote = await import("../../serving/runtime-remote/index.ts");
    return remote.connectRemoteModel(address);
  },
  protocols: [oip, mlflow, tfserving],
  grpc: async () => (await import("../../serving/protocol-oip-grpc/index.ts")).oipGrpc,
});
