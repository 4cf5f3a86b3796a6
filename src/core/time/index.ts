export { formatDuration, parseDuration } from "./duration.ts";
export type { Clock, Timers } from "./clock.ts";
