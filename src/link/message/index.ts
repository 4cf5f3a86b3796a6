export {
  CONTROL_REQUESTS,
  GATEWAY_REQUESTS,
  gatewayRolledBackSchema,
  gatewayStatusSchema,
  inspectedSchema,
  probedSchema,
  routeAcknowledgedSchema,
  routeDrainedSchema,
  type GatewayRolledBack,
  type GatewayStatus,
  type Inspected,
  type Probed,
  type ProcessFacts,
  type RevisionState,
  type RouteAcknowledged,
  type RouteDrained,
} from "./message.ts";
export { rollbackRequest, type RollbackRequest } from "./rollback-request.ts";
