export type { Effect, HistoryRecord, Outcome, Transition } from "./effect.ts";
export type {
  Assessed,
  Deploy,
  EndpointEvent,
  EventType,
  Mark,
  Reinstate,
  Rollback,
} from "./event.ts";
export {
  armsOf,
  bakeLeft,
  coolingUntil,
  contractOf,
  evidenceIdOf,
  isPinned,
  mirrorOf,
  leavingRevision,
  neededRevisions,
  newEndpoint,
  resumingRollout,
  revisionOf,
  rolloutOf,
  stepElapsed,
  stepsOf,
  type Activity,
  type Arm,
  type EndedRollout,
  type EndpointState,
  type EndPhase,
  type Held,
  type Measured,
  type Mirror,
  type Pause,
  type Phase,
  type Pin,
  type Progress,
  type Return,
  type RollbackDone,
  type RollbackRecord,
  type Rollout,
  type Standing,
  type StepProgress,
  type Switching,
  type WantedReturn,
} from "./state.ts";
export { refusedBack } from "./assess.ts";
export { heldAlarm } from "./held.ts";
export { revisionsLeft, type Asked } from "./back.ts";
export { plannedLeft } from "./planned.ts";
export { isTickDue } from "./clock.ts";
export { repeated } from "./repeat.ts";
export { pendingEffects, transition } from "./transition.ts";
export { isReturnDue } from "./wanted.ts";
export { waitsFor } from "./waits-for.ts";
