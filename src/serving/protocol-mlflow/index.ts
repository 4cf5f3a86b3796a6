import type { ScoringProtocol } from "../protocol/index.ts";
import { address } from "./address.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { encodeError } from "./error.ts";
import { status } from "./status.ts";

/** The protocol of `mlflow models serve`: `/invocations`, `/ping`, `/health`, `/version`. */
export const mlflow: ScoringProtocol = {
  name: "mlflow",
  address,
  decode,
  encode,
  encodeError,
  status,
};
