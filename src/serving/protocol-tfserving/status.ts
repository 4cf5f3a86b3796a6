import { LastgoodError } from "../../core/errors/index.ts";
import type { DType } from "../../core/tensor/index.ts";
import type { OutputSpec } from "../../core/version/index.ts";
import type {
  ModelFacts,
  ProtocolAnswer,
  StatusAddress,
  StatusFacts,
  VersionFacts,
} from "../protocol/index.ts";
import { SIGNATURE_NAME } from "./decode.ts";

/** TensorFlow's names of the element types. */
const DTYPES: Readonly<Record<DType, string>> = {
  BOOL: "DT_BOOL",
  UINT8: "DT_UINT8",
  UINT16: "DT_UINT16",
  UINT32: "DT_UINT32",
  UINT64: "DT_UINT64",
  INT8: "DT_INT8",
  INT16: "DT_INT16",
  INT32: "DT_INT32",
  INT64: "DT_INT64",
  FP16: "DT_HALF",
  FP32: "DT_FLOAT",
  FP64: "DT_DOUBLE",
  BYTES: "DT_STRING",
};

function json(body: unknown): ProtocolAnswer {
  return {
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

function versionStatus({ sequence, ready }: VersionFacts): unknown {
  return {
    version: String(sequence),
    state: ready ? "AVAILABLE" : "LOADING",
    status: { error_code: "OK", error_message: "" },
  };
}

function tensorInfo(spec: OutputSpec): readonly [string, unknown] {
  const [dtype, shape] =
    spec.kind === "tensor" ? [spec.dtype, spec.shape] : [spec.valueDtype, [-1, -1]];
  const dim = shape.map((size) => ({ size: String(size), name: "" }));
  const info = {
    dtype: DTYPES[dtype],
    tensor_shape: { dim, unknown_rank: false },
    name: spec.name,
  };
  return [spec.name, info];
}

function metadata({ endpoint, shown, contract }: ModelFacts): ProtocolAnswer {
  const signature = {
    inputs: Object.fromEntries(contract.inputs.map(tensorInfo)),
    outputs: Object.fromEntries(contract.outputs.map(tensorInfo)),
    method_name: "tensorflow/serving/predict",
  };
  return json({
    model_spec: {
      name: endpoint,
      signature_name: "",
      version: shown === null ? "" : String(shown.sequence),
    },
    metadata: { signature_def: { signature_def: { [SIGNATURE_NAME]: signature } } },
  });
}

/**
 * Answers a model's status (each version that is loaded, by its sequence number: the protocol's
 * versions are numbers; `name` and `ready` are what KServe's V1 clients look for at the same path), its
 * metadata, and the list of models.
 * @throws `route.not-found` for a question of another protocol, or without a model.
 */
export function status(address: StatusAddress, facts: StatusFacts): ProtocolAnswer {
  if (address.kind === "models") return json({ models: facts.endpoints });
  const { model } = facts;
  if (model === null || (address.kind !== "model" && address.kind !== "model-ready"))
    throw new LastgoodError(
      "route.not-found",
      `TensorFlow Serving's protocol has no ${address.kind}`,
    );
  if (address.kind === "model") return metadata(model);
  const { endpoint, ready, loaded, shown } = model;
  const named = address.version === null || shown === null ? loaded : [shown];
  return json({ name: endpoint, ready, model_version_status: named.map(versionStatus) });
}
