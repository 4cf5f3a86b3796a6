export { gatewayConfigSchema, type GatewayConfig } from "./gateway-config.ts";
export { runGateway, type RunGatewayParts } from "./run-gateway.ts";
export { runWorker, type WorkerParts } from "./worker.ts";
export type { Log } from "./log.ts";
export type { Runtimes } from "./loaded-revisions.ts";
export type { ConnectModel } from "./served-revision.ts";
