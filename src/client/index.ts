export { LastgoodClient, type ClientOptions, type Resolved } from "./client.ts";
export type { Fetch, FetchAnswer, FetchRequest } from "./fetch.ts";
export type { RetryOptions } from "./transport.ts";
