import type { PathResource } from "../protocol/index.ts";

/**
 * What a path of MLflow's scoring server names: `/ping`, `/health`, `/version`, `/invocations` (the
 * default endpoint), and `/endpoints/E/invocations`.
 */
export function address(segments: readonly string[]): PathResource | null {
  const protocol = "mlflow" as const;
  const [first, second, third] = segments;
  if (segments.length === 3) {
    return first === "endpoints" && second !== undefined && third === "invocations"
      ? { method: "POST", address: { kind: "infer", protocol, endpoint: second, version: null } }
      : null;
  }
  if (segments.length !== 1) return null;
  if (first === "ping" || first === "health") {
    return {
      method: "GET",
      address: { kind: "model-ready", protocol, endpoint: null, version: null },
    };
  }
  if (first === "version") return { method: "GET", address: { kind: "version", protocol } };
  return first === "invocations"
    ? { method: "POST", address: { kind: "infer", protocol, endpoint: null, version: null } }
    : null;
}
