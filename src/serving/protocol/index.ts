export { elementOfBytes, outputBinary, readBinary } from "./binary.ts";
export { addressMatcher } from "./address-matcher.ts";
export {
  protocolOfPath,
  type Address,
  type InferAddress,
  type PathResource,
  type ProtocolName,
  type StatusAddress,
} from "./address.ts";
export type {
  AnswerContext,
  AnswerForm,
  Call,
  ModelFacts,
  ProtocolAnswer,
  ProtocolRequest,
  RequestedOutput,
  GrpcAddress,
  GrpcMethod,
  GrpcProtocol,
  MessageProtocol,
  ScoringProtocol,
  StatusFacts,
  VersionFacts,
} from "./call.ts";
export { parseContentType } from "./content-type.ts";
export { elementRefused, newElements, writeElements, type WritableData } from "./elements.ts";
export { parseJson, utf8Text, wantsExactIntegers, type JsonReading } from "./json.ts";
export { arrayText, elementText, mapText, nameText, nestedText } from "./json-text.ts";
export { writeNested, writeRow } from "./nested.ts";
export { outputViolation } from "./output-violation.ts";
export { publicText } from "./public-text.ts";
export {
  described,
  inputText,
  isJsonObject,
  member,
  optionalMember,
  quoted,
  requestInvalid,
} from "./refuse.ts";
export { columnInputs, instancesInputs, type TensorReading } from "./row-and-column.ts";
export { acceptedCount, shapeText } from "./shape.ts";
