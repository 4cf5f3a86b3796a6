export { LastgoodClient, type ClientOptions, type Resolved } from "./client.ts";
export type { RetryOptions } from "./transport.ts";
