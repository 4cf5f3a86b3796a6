export { CompiledRoute } from "./compiled-route.ts";
export { RouteTable } from "./route-table.ts";
export { stickyArm, type WeightedArm } from "./sticky.ts";
