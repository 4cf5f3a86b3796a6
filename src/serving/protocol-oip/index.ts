import type { ScoringProtocol } from "../protocol/index.ts";
import { address } from "./address.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { encodeError } from "./error.ts";
import { status } from "./status.ts";

/**
 * Open Inference Protocol v2 over REST, with the binary tensor data extension
 * (https://github.com/kserve/open-inference-protocol).
 */
export const oip: ScoringProtocol = {
  name: "oip",
  address,
  decode,
  encode,
  encodeError,
  status,
};
