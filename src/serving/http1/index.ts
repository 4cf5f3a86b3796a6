export {
  contentLengthOf,
  Fields,
  isFieldValue,
  isToken,
  MAX_HEAD_BYTES,
  readFields,
} from "./fields.ts";
export { AnswerInvalid, AnswerLost, AnswerTimeout } from "./upstream-failure.ts";
export type { Passed, PassedAnswer } from "./upstream-passed.ts";
export { UpstreamPool } from "./upstream-pool.ts";
export type { Question, WholeAnswer } from "./upstream-whole.ts";
