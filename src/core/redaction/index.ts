export { redactedTensors, redactedUnread, type UnreadRequest } from "./redact.ts";
export { redactedInputsSchema, type RedactedInputs } from "./redacted.ts";
