import { LastgoodError } from "../../core/errors/index.ts";
import type { Launcher } from "../../core/launcher/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import type { UpstreamAddress } from "../runtime/index.ts";
import { readAnswer, writeRequest } from "./oip-wire.ts";
import { readPlain, readScoring, writePlain, writeScoring } from "./plain-wire.ts";

/** How a server of one protocol is asked. Paths begin with a slash. */
export interface Dialect {
  /** 2xx there means that the model is ready. */
  readonly readyPath: string;
  /** Where the model is described; null where the protocol has no such thing. */
  readonly metadataPath: string | null;
  readonly inferPath: string;
  write(inputs: readonly Tensor[]): string;
  /** @throws `runtime.failed` when it is not what the protocol answers. */
  read(text: string): Tensor[];
}

function needed({ signature, protocol }: UpstreamAddress): Signature {
  if (signature !== null) return signature;
  throw new LastgoodError(
    "signature.mismatch",
    `a server that speaks ${protocol} does not describe its inputs and outputs`,
    { hint: "register the version with a signature: --signature FILE" },
  );
}

const READY_PATHS = {
  oip: (model: string) => `/v2/models/${encodeURIComponent(model)}/ready`,
  mlflow: () => "/ping",
  json: () => "/health",
  passthrough: () => "/",
} as const;

/** Where a server says that its model is ready. */
export function readyPathOf(address: Pick<Launcher, "health" | "protocol" | "model">): string {
  return address.health ?? READY_PATHS[address.protocol](address.model);
}

/** The dialect of a server's protocol. */
export function dialectOf(address: UpstreamAddress): Dialect {
  const { protocol } = address;
  const readyPath = readyPathOf(address);
  if (protocol === "oip") {
    const model = `/v2/models/${encodeURIComponent(address.model)}`;
    return {
      readyPath,
      metadataPath: model,
      inferPath: `${model}/infer`,
      write: writeRequest,
      read: readAnswer,
    };
  }
  if (protocol === "mlflow")
    return {
      readyPath,
      metadataPath: null,
      inferPath: address.path ?? "/invocations",
      write: (inputs) => writeScoring(inputs, address.form),
      read: (text) => readScoring(text, needed(address)),
    };
  return {
    readyPath,
    metadataPath: null,
    inferPath: address.path ?? "/predict",
    write: writePlain,
    read: (text) => readPlain(text, needed(address)),
  };
}
