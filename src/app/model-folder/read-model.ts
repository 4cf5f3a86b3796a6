import * as z from "zod";

import { LastgoodError, plainWords } from "../../core/errors/index.ts";
import { UNREAD_LAUNCHER } from "../../core/launcher/index.ts";
import {
  columnsFromMlflow,
  parseMlflowModel,
  signatureFromMlflow,
  takesArrays,
  type MlflowModel,
} from "../../core/mlflow-model/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { listModelFiles, readJsonFile, type ModelFile } from "./model-files.ts";
import { readYamlFile } from "./yaml-file.ts";

/** Which file of a version is which step; null where that step has none, or the server is to find it. */
export interface StepFiles {
  readonly preprocess: string | null;
  readonly model: string | null;
  readonly postprocess: string | null;
}

/** A model on this machine, and what its folder says of it. */
export interface FoundModel {
  readonly files: readonly ModelFile[];
  readonly steps: StepFiles;
  /** The launcher that it needs; null where it is served natively. */
  readonly launcher: "mlflow" | typeof UNREAD_LAUNCHER | null;
  /** What the folder says of a model that no engine of ours can look into. */
  readonly signature: Signature | null;
  /** Names of the columns of the table that it takes; null where nobody said. */
  readonly columns: readonly string[] | null;
  /** It takes arrays, also where a table is sent. */
  readonly arrays: boolean;
  /** In a form that registering reads; null without one. */
  readonly inputExample: unknown;
  readonly tags: Readonly<Record<string, string>>;
  readonly lineage: Readonly<Record<string, string>>;
}

const PLAIN = {
  launcher: null,
  signature: null,
  columns: null,
  arrays: false,
  inputExample: null,
  tags: {},
  lineage: {},
} as const;
const NO_STEPS: StepFiles = { preprocess: null, model: null, postprocess: null };

const pipelineSchema = z.strictObject({
  preprocess: z.string().optional(),
  model: z.string(),
  postprocess: z.string().optional(),
});

/**
 * The model at a path: a file, a folder with everything that belongs to it, a folder whose
 * `pipeline.yaml` names its steps, or an MLflow model folder.
 * @throws `usage.invalid` when there is nothing to read; `artifact.invalid` when what describes the
 * folder is not of its form, or names a file that is not there.
 */
export async function readModel(path: string): Promise<FoundModel> {
  const files = await listModelFiles(path);
  const has = (name: string): ModelFile | undefined => files.find((file) => file.name === name);
  const isFolder = files[0]?.path !== path;
  const mlmodel = isFolder ? has("MLmodel") : undefined;
  if (mlmodel !== undefined) return ofMlflow(parseMlflowModel(readYamlFile(mlmodel.path)), files);
  const pipeline = isFolder ? has("pipeline.yaml") : undefined;
  const steps = pipeline === undefined ? NO_STEPS : stepsOf(pipeline, files);
  return { ...PLAIN, files, steps };
}

function stepsOf(pipeline: ModelFile, files: readonly ModelFile[]): StepFiles {
  const parsed = pipelineSchema.safeParse(readYamlFile(pipeline.path), { error: plainWords });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.map(String).join(".") ?? "";
    throw new LastgoodError(
      "artifact.invalid",
      `${pipeline.path} cannot be used: ${where === "" ? "" : `${where}: `}${issue?.message ?? ""}`,
      {
        hint: "it names a file for each step: preprocess: pre.onnx, model: model.onnx, postprocess: post.onnx",
      },
    );
  }
  const { preprocess = null, model, postprocess = null } = parsed.data;
  const steps = { preprocess, model, postprocess };
  for (const [step, name] of Object.entries(steps))
    if (name !== null) mustHave(files, name, `pipeline.yaml names it as ${step}`);
  return steps;
}

function mustHave(files: readonly ModelFile[], name: string, why: string): void {
  if (files.some((each) => each.name === name)) return;
  throw new LastgoodError("artifact.invalid", `the folder has no file ${name}: ${why}`, {
    hint: "is the folder complete?",
    details: { files: files.map((each) => each.name) },
  });
}

function ofMlflow(model: MlflowModel, files: readonly ModelFile[]): FoundModel {
  const { onnxFile } = model;
  if (onnxFile !== null)
    mustHave(files, onnxFile, "MLmodel names it as the data of the flavour onnx");
  const requirements = files.find((file) => file.name === "requirements.txt");
  const signature =
    onnxFile === null && model.signature !== null ? signatureFromMlflow(model.signature) : null;
  return {
    files,
    steps: { ...NO_STEPS, model: onnxFile },
    launcher: onnxFile === null ? (signature === null ? UNREAD_LAUNCHER : "mlflow") : null,
    signature,
    columns: model.signature === null ? null : columnsFromMlflow(model.signature),
    arrays: model.signature !== null && takesArrays(model.signature),
    inputExample: exampleOf(model, files),
    tags: model.tags,
    lineage: {
      ...model.lineage,
      ...(requirements === undefined ? {} : { requirements: requirements.digest }),
    },
  };
}

/** The request that MLflow made of the example; of older folders the example itself. */
function exampleOf({ inputExample }: MlflowModel, files: readonly ModelFile[]): unknown {
  if (inputExample === null) return null;
  const has = (name: string): ModelFile | undefined => files.find((file) => file.name === name);
  const serving = inputExample.servingPath === null ? undefined : has(inputExample.servingPath);
  const file = serving ?? has(inputExample.path);
  return file === undefined ? null : readJsonFile(file.path);
}

/**
 * A pipeline of single files, one for each step; inside the version they are `preprocess.onnx`,
 * `model.onnx` and `postprocess.onnx`.
 * @throws `usage.invalid` when one of them cannot be read or is a folder.
 */
export async function readSteps(paths: StepFiles): Promise<FoundModel> {
  const files: ModelFile[] = [];
  const names = {
    preprocess: "preprocess.onnx",
    model: "model.onnx",
    postprocess: "postprocess.onnx",
  };
  const steps = { preprocess: null, model: null, postprocess: null } as Record<
    keyof StepFiles,
    string | null
  >;
  for (const step of ["preprocess", "model", "postprocess"] as const) {
    const path = paths[step];
    if (path === null) continue;
    const [file] = await listModelFiles(path);
    if (file?.path !== path)
      throw new LastgoodError(
        "usage.invalid",
        `${path} is a folder, and a step is one .onnx file`,
        {
          hint: "name the steps of a folder in its pipeline.yaml instead",
        },
      );
    files.push({ ...file, name: names[step] });
    steps[step] = names[step];
  }
  return { ...PLAIN, files, steps };
}
