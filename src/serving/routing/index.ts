export { CompiledRoute } from "./compiled-route.ts";
export { RouteTable } from "./route-table.ts";
export type { WeightedArm } from "./sticky.ts";
