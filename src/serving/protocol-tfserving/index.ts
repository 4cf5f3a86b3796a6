import type { ScoringProtocol } from "../protocol/index.ts";
import { address } from "./address.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { encodeError } from "./error.ts";
import { status } from "./status.ts";

/**
 * TensorFlow Serving's REST API: `:predict` by row and by column, status, metadata
 * (https://www.tensorflow.org/tfx/serving/api_rest).
 */
export const tfserving: ScoringProtocol = {
  name: "tfserving",
  address,
  decode,
  encode,
  encodeError,
  status,
};
