export {
  contentLengthOf,
  Fields,
  isFieldValue,
  isToken,
  MAX_HEAD_BYTES,
  readFields,
} from "./fields.ts";
