export {
  defaultEndpointName,
  ENVIRONMENTS,
  REVISION_STATUSES,
  STRATEGIES,
  TRIGGERS,
  type EndpointIdentity,
  type Environment,
  type Revision,
  type RevisionStatus,
  type RevisionVersion,
  type Strategy,
  type Trigger,
} from "./endpoint.ts";
