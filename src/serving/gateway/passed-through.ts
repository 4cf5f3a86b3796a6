import type { RouteRevision } from "../../link/route/index.ts";

/**
 * Whether a revision's requests are passed on unread: a contract that promises nothing leaves nothing
 * to read. An ONNX graph always has outputs.
 */
export function isPassedThrough({ runtime, contract }: RouteRevision): boolean {
  return runtime.kind !== "onnx" && contract.inputs.length === 0 && contract.outputs.length === 0;
}
