import type { PathResource } from "../protocol/index.ts";

const HEALTH = { live: "live", ready: "ready" } as const;

function modelResource(
  endpoint: string,
  version: string | null,
  verb: string | undefined,
): PathResource | null {
  const at = { protocol: "oip", endpoint, version } as const;
  if (verb === undefined) return { method: "GET", address: { kind: "model", ...at } };
  if (verb === "ready") return { method: "GET", address: { kind: "model-ready", ...at } };
  // `config`, `stats` and the rest belong to extensions that the server metadata does not list: 404.
  return verb === "infer" ? { method: "POST", address: { kind: "infer", ...at } } : null;
}

/**
 * What a path of the Open Inference Protocol v2 names: `/v2`, `/v2/health/live|ready`, `/v2/models`
 * (KServe's list), `/v2/models/M[/versions/V][/ready|/infer]`.
 */
export function address(segments: readonly string[]): PathResource | null {
  const [root, second, third] = segments;
  if (root !== "v2") return null;
  const protocol = "oip" as const;
  if (second === undefined) return { method: "GET", address: { kind: "server", protocol } };
  if (second === "health") {
    const kind = third === "live" || third === "ready" ? HEALTH[third] : null;
    return kind !== null && segments.length === 3
      ? { method: "GET", address: { kind, protocol } }
      : null;
  }
  if (second !== "models") return null;
  if (third === undefined) return { method: "GET", address: { kind: "models", protocol } };
  if (segments[3] === "versions") {
    const version = segments[4];
    return version === undefined || segments.length > 6
      ? null
      : modelResource(third, version, segments[5]);
  }
  return segments.length > 4 ? null : modelResource(third, null, segments[3]);
}
