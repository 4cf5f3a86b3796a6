export type { Published } from "./combine.ts";
export { Gateways, type LinkHandlers } from "./gateways.ts";
