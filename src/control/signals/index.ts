export { readFeedbackCsv } from "./feedback-csv.ts";
export type { HealthState } from "./health-source.ts";
export { Signals, type SignalsOptions } from "./signals.ts";
export type { Collected, ConfirmNouns, Watched } from "./watched.ts";
