export { redactedTensors, redactedUnread, type UnreadRequest } from "./redact.ts";
export {
  ERROR_INPUTS,
  redactedInputsSchema,
  type ErrorInputs,
  type RedactedInputs,
  type RedactedTensor,
} from "./redacted.ts";
