export { formatDuration, parseDuration } from "./duration.ts";
export type { Clock } from "./clock.ts";
