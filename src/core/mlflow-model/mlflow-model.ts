import * as z from "zod";

import { LastgoodError, plainWords } from "../errors/index.ts";
import {
  mlflowColumnsSchema,
  mlflowParamsSchema,
  type MlflowSignature,
} from "./mlflow-signature.ts";

/*
 * The file `MLmodel` at the root of a model folder, written by MLflow 1 to 3:
 * mlflow/models/model.py, Model.to_dict; what else stands there is passed over.
 */
const text = z.string().nullish();
const mlmodelSchema = z.object({
  flavors: z.record(z.string(), z.looseObject({})),
  signature: z.object({ inputs: text, outputs: text, params: text }).nullish(),
  saved_input_example_info: z
    .object({ artifact_path: z.string(), type: text, serving_input_path: text })
    .nullish(),
  run_id: text,
  model_id: text,
  model_uuid: text,
  mlflow_version: text,
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

/** Where a model folder keeps its example and what it is. */
export interface InputExample {
  /** A request to the scoring server; newer folders have one. */
  readonly servingPath: string | null;
  readonly path: string;
  /** `dataframe`, `ndarray`, `json_object`… */
  readonly type: string;
}

/** What an MLflow model folder says of itself. */
export interface MlflowModel {
  /** `onnx`, `sklearn`, `python_function`… */
  readonly flavors: readonly string[];
  /** Path of the ONNX flavour's file in the folder, or null without that flavour. */
  readonly onnxFile: string | null;
  readonly signature: MlflowSignature | null;
  readonly inputExample: InputExample | null;
  /** Facts about where it comes from, as lineage: `run`, `mlflow_model`, `mlflow_version`. */
  readonly lineage: Readonly<Record<string, string>>;
  /** `mlflow.flavors`, and `mlflow.metadata.<key>` for each entry of `metadata`. */
  readonly tags: Readonly<Record<string, string>>;
}

/** Longest value of a tag; a longer one stays in the file. */
const MAX_TAG = 5_000;

function invalid(why: string, cause?: unknown): LastgoodError {
  return new LastgoodError("artifact.invalid", `MLmodel ${why}`, {
    hint: "it is the file that mlflow.<flavour>.save_model writes; is the folder complete?",
    cause,
  });
}

/** @throws `artifact.invalid` when it is not of the schema. */
function listOf<T>(
  json: string | null | undefined,
  side: string,
  schema: z.ZodType<readonly T[]>,
): readonly T[] | null {
  if (json === null || json === undefined) return null;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw invalid(`has a signature whose ${side} are not JSON`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(`has a signature whose ${side} are no list`, parsed.error);
}

function onnxFileOf(flavors: z.infer<typeof mlmodelSchema>["flavors"]): string | null {
  const onnx = flavors["onnx"];
  if (onnx === undefined) return null;
  const data = onnx["data"];
  if (typeof data === "string") return data;
  throw invalid("has the flavour onnx, which does not name its file under data");
}

function withoutGaps(
  facts: Readonly<Record<string, string | null | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([key, value]) =>
      value === null || value === undefined || value === "" ? [] : [[key, value]],
    ),
  );
}

function metadataTags(metadata: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata)
      .map(([key, value]): [string, string] => [
        `mlflow.metadata.${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ])
      .filter(([key, value]) => key.length <= 250 && value.length <= MAX_TAG),
  );
}

/**
 * Reads the content of an `MLmodel` file (its YAML as plain data).
 * @throws `artifact.invalid` when it is not of that form.
 */
export function parseMlflowModel(document: unknown): MlflowModel {
  const parsed = mlmodelSchema.safeParse(document, { error: plainWords });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.map(String).join(".") ?? "";
    throw invalid(`cannot be used: ${where === "" ? "" : `${where}: `}${issue?.message ?? ""}`);
  }
  const { flavors, signature, saved_input_example_info: example, ...model } = parsed.data;
  const names = Object.keys(flavors);
  return {
    flavors: names,
    onnxFile: onnxFileOf(flavors),
    signature:
      signature === null || signature === undefined
        ? null
        : {
            inputs: listOf(signature.inputs, "inputs", mlflowColumnsSchema),
            outputs: listOf(signature.outputs, "outputs", mlflowColumnsSchema),
            params: listOf(signature.params, "params", mlflowParamsSchema),
          },
    inputExample:
      example === null || example === undefined
        ? null
        : {
            path: example.artifact_path,
            servingPath: example.serving_input_path ?? null,
            type: example.type ?? "",
          },
    lineage: withoutGaps({
      run: model.run_id,
      mlflow_model: model.model_id ?? model.model_uuid,
      mlflow_version: model.mlflow_version,
    }),
    tags: { "mlflow.flavors": names.join(", "), ...metadataTags(model.metadata ?? {}) },
  };
}
