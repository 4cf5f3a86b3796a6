export {
  compareOrder,
  DEFAULT_LIMITS,
  mainArm,
  measuredSchema,
  routeOrderSchema,
  routeSchema,
  type Limits,
  type Route,
  type RouteOrder,
  type RouteRevision,
  type RouteTarget,
  type Watch,
} from "./route.ts";
