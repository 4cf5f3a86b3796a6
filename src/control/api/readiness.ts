import type { Status } from "../../core/api/index.ts";

/** Whether everything that should serve does, and if not, what does not. */
export interface Readiness {
  readonly ready: boolean;
  readonly missing: readonly string[];
}

/** Ready when a gateway is connected and each endpoint's current revision is loaded and routed. */
export function readinessOf(status: Status): Readiness {
  const gateways = status.gateways.length === 0 ? ["no gateway is connected"] : [];
  const endpoints = status.endpoints.flatMap((endpoint) => {
    const { current, name } = endpoint;
    if (current === null) return [];
    const warm = endpoint.revisions.some((each) => each.revision === current.revision && each.warm);
    if (!warm) return [`${name}: ${current.version} is not loaded`];
    const routed = endpoint.split.some((arm) => arm.revision === current.revision);
    return routed ? [] : [`${name}: ${current.version} is not routed`];
  });
  const missing = [...gateways, ...endpoints];
  return { ready: missing.length === 0, missing };
}
