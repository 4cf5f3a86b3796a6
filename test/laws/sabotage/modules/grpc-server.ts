/** gRPC's law taken out: whatever the split says, callers get stable. */
import {
  GrpcServer as Original,
  type GrpcServerParts,
} from "../../../../src/serving/gateway/grpc-server.ts";
import type { Inference } from "../../../../src/serving/gateway/inference.ts";

// What the sabotage does not replace.
export * from "../../../../src/serving/gateway/grpc-server.ts";

export class GrpcServer extends Original {
  constructor(parts: GrpcServerParts) {
    const { inference } = parts;
    const answer: Inference["answer"] = (arrived) =>
      inference.answer({ ...arrived, address: { ...arrived.address, version: "v1.0" } });
    const sabotaged: Pick<Inference, "answer" | "bodyLimit"> = {
      answer,
      bodyLimit: (address) => inference.bodyLimit(address),
    };
    super({ ...parts, inference: sabotaged as Inference });
  }
}
