export { Rollouts, type EndpointServiceDeps } from "./endpoint-service.ts";
export type { Journal } from "./deps.ts";
