export { ERROR_CODES, isErrorCode, type ErrorCode, type ErrorTraits } from "./codes.ts";
export {
  LastgoodError,
  unreachable,
  type ErrorBody,
  type ErrorParticulars,
  type PassedOver,
} from "./error.ts";
export { didYouMean, nearNames } from "./near.ts";
export { pathText, plainIssues, plainWords, type PlainIssue } from "./plain-words.ts";
