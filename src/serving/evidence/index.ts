export { EvidenceDesk } from "./desk.ts";
export type { PairTicket } from "./pair.ts";
export { EvidenceRecorder, type ArmRecorder } from "./recorder.ts";
export type { EvidenceReport } from "./tally.ts";
export type { Failure, RequestTicket } from "./ticket.ts";
