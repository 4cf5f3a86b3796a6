export type { Effect, HistoryRecord, Outcome, Transition } from "./effect.ts";
export type { Deploy, EndpointEvent, EventType, Mark, Reinstate, Rollback } from "./event.ts";
export {
  armsOf,
  bakeLeft,
  contractOf,
  leavingRevision,
  neededRevisions,
  newEndpoint,
  revisionOf,
  rolloutOf,
  storedEndpoint,
  type Activity,
  type Arm,
  type EndedRollout,
  type EndpointState,
  type EndPhase,
  type Measured,
  type Pause,
  type Phase,
  type Return,
  type RollbackRecord,
  type Rollout,
  type Switching,
} from "./state.ts";
export { pendingEffects, transition } from "./transition.ts";
