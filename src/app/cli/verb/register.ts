import { Option, type Command } from "@commander-js/extra-typings";

import type { Registered } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { BUILT_IN_NAMES } from "../../../core/launcher/index.ts";
import { describeSpec, parseModelName, parseVersionName } from "../../../core/version/index.ts";
import {
  readJsonFile,
  readModel,
  registerBody,
  registerModel,
  type ModelFile,
  type Registering,
} from "../../model-folder/index.ts";
import { givenModel } from "../given-model.ts";
import { examples } from "../help-text.ts";
import { numberPairValue, pairValue } from "../option-value.ts";
import { bytes, counted, shortDigest } from "../phrase.ts";
import type { Session } from "../session.ts";
import { readSignature } from "../signature-file.ts";
import { slowSteps } from "../slow-steps.ts";
import { fullName, pipelineLines, referenceText } from "../version-words.ts";

const EXAMPLES = [
  ["lastgood register fraud ./model.onnx --version v1.0", ""],
  ["lastgood register fraud ./model.onnx --version v1.1 --metric auc=0.94 \\", ""],
  ["    --param depth=6 --tag team=risk --input-example example.json", ""],
  ["lastgood register fraud ./model.onnx --version v1.2 --reference rows.csv", ""],
  ["lastgood register fraud ./mlruns/1/models/m-5e/artifacts", "an MLflow model folder"],
  ["lastgood register fraud --preprocess pre.onnx --model model.onnx", "a pipeline"],
  ["lastgood register fraud --runtime remote --remote tf-1", "a model server elsewhere"],
  ["lastgood register fraud --runtime process --launcher python ./folder", "a Python server"],
] as const;

/** `register`: uploads a model's files and stores them as a version. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Store a model version. It never changes again: the same name with other bytes is refused, the same bytes again are no change. Registering loads and runs the model once, to record its golden samples.",
    )
    .argument("<model>", "the model's name, for example fraud")
    .argument(
      "[path]",
      "an .onnx file, or a folder with everything that belongs to the model: an MLflow model folder, or one with a pipeline.yaml",
    )
    .option("--version <name>", "the version's name, for example v1.1; never reused")
    .option("--preprocess <file>", "pipeline: the graph whose outputs are the model's inputs")
    .option("--model <file>", "pipeline: the model, as the path")
    .option("--postprocess <file>", "pipeline: the graph whose inputs are the model's outputs")
    .option("--metric <key=number>", "a measured value, repeatable: auc=0.94", numberPairValue)
    .option("--param <key=value>", "a parameter of the training, repeatable: depth=6", pairValue)
    .option("--tag <key=value>", "a tag, repeatable: team=risk", pairValue)
    .option("--input-example <file>", "JSON file with real inputs; golden samples come from it")
    .option(
      "--reference <file>",
      "CSV or JSON file with rows of inputs as they should look: what drift of inputs is told by",
    )
    .option("--run <id>", "lineage: the training run")
    .option("--git-commit <sha>", "lineage: the code")
    .option("--dataset-digest <digest>", "lineage: the data")
    .addOption(
      new Option("--runtime <name>", "what serves it")
        .choices(["onnx", "remote", "process"] as const)
        .default("onnx" as const),
    )
    .option("--remote <name>", "with --runtime remote: its name in server.yaml")
    .option(
      "--launcher <name>",
      `with --runtime process: what starts a server on the folder (${BUILT_IN_NAMES}, or a name in server.yaml); needs a server with --allow-code`,
    )
    .option(
      "--signature <file>",
      "JSON file with inputs and outputs, where the server does not describe its own",
    )
    .option("--dry-run", "say what would be stored, store nothing")
    .addHelpText("after", examples(EXAMPLES))
    .action(async (model, path, options) => {
      // Names are checked before anything is sent.
      parseModelName(model);
      const name = options.version === undefined ? null : parseVersionName(options.version);
      checkSource(path ?? options.model, options);
      const found = await givenModel(path, options);
      const reference = await referenceFile(options.reference);
      const said = { ...sayings(options), name, reference, actor: await session.actor() };
      const registering: Registering = { model, found, said };
      if (options.dryRun === true) {
        const body = registerBody(registering);
        session.terminal.answer({ dryRun: true, model, ...body }, () => [
          `${session.terminal.style("yellow", "dry run:")} ${model}@${name ?? "(next number)"} would be stored`,
          ...found.files.map(fileLine),
        ]);
        return;
      }
      const client = await session.client();
      const registered = await registerModel(client, registering, slowSteps(session.terminal));
      session.terminal.answer(registered, () => describeRegistered(registered, session));
    });
}

interface Sayings {
  readonly remote?: string | undefined;
  readonly launcher?: string | undefined;
  readonly signature?: string | undefined;
  readonly inputExample?: string | undefined;
  readonly metric?: Record<string, number> | undefined;
  readonly param?: Record<string, string> | undefined;
  readonly tag?: Record<string, string> | undefined;
  readonly run?: string | undefined;
  readonly gitCommit?: string | undefined;
  readonly datasetDigest?: string | undefined;
}

function sayings(options: Sayings): Omit<Registering["said"], "name" | "reference" | "actor"> {
  const { inputExample, run, gitCommit, datasetDigest } = options;
  return {
    remote: options.remote ?? null,
    launcher: options.launcher ?? null,
    signature: options.signature === undefined ? null : readSignature(options.signature),
    inputExample: inputExample === undefined ? null : readJsonFile(inputExample),
    metrics: options.metric ?? {},
    params: options.param ?? {},
    tags: options.tag ?? {},
    lineage: withoutGaps({ run, git_commit: gitCommit, dataset_digest: datasetDigest }),
  };
}

/** Options that name what serves a version, and the runtime each goes with. */
const NAMED_BY = { remote: "remote", launcher: "process" } as const;

function checkSource(
  path: string | undefined,
  options: {
    readonly runtime: Registered["version"]["runtime"]["kind"];
    readonly remote?: string | undefined;
    readonly launcher?: string | undefined;
  },
): void {
  for (const [option, runtime] of Object.entries(NAMED_BY)) {
    const isGiven = options[option as keyof typeof NAMED_BY] !== undefined;
    if (options.runtime === runtime && !isGiven)
      throw new LastgoodError("usage.invalid", `--runtime ${runtime} needs --${option} NAME`, {
        hint: `the names are those under ${option}s: in the server's server.yaml${option === "launcher" ? `, and ${BUILT_IN_NAMES}` : ""}`,
      });
    if (options.runtime !== runtime && isGiven)
      throw new LastgoodError("usage.invalid", `--${option} goes with --runtime ${runtime}`, {
        hint: `add --runtime ${runtime}, or leave --${option} out`,
      });
  }
  if (options.runtime !== "remote" && path === undefined) {
    const isProcess = options.runtime === "process";
    throw new LastgoodError(
      "usage.invalid",
      isProcess ? "the version's folder is missing" : "the model's file is missing",
      {
        hint: isProcess
          ? "for example: lastgood register fraud --runtime process --launcher python ./folder"
          : "for example: lastgood register fraud ./model.onnx --version v1.0",
      },
    );
  }
}

/** @throws `usage.invalid` for a file that is not one of rows. */
async function referenceFile(
  path: string | undefined,
): Promise<NonNullable<Registering["said"]["reference"]> | null> {
  if (path === undefined) return null;
  const format = /\.csv$/i.test(path) ? "csv" : /\.json$/i.test(path) ? "json" : null;
  const [file, second] = format === null ? [] : (await readModel(path)).files;
  if (format !== null && file !== undefined && second === undefined) return { file, format };
  throw new LastgoodError("usage.invalid", `${path} is no reference set`, {
    hint: "give one .csv file with the columns' names in its first line, or one .json file in a form of input examples",
  });
}

function withoutGaps(given: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

function fileLine(file: ModelFile): string {
  return `  ${file.name}   ${bytes(file.size)}   ${shortDigest(file.digest)}`;
}

function describeRegistered(registered: Registered, session: Session): string[] {
  const { version, created, notes } = registered;
  const name = fullName(version);
  const { terminal } = session;
  const batching = version.batching.on ? "on" : `off: ${version.batching.why}`;
  return [
    created
      ? terminal.style("green", `${name} is registered (number ${version.sequence})`)
      : `${name} holds these very bytes already; nothing was changed`,
    ...version.files.map(
      (file) => `  ${file.path}   ${bytes(file.size)}   ${shortDigest(file.digest)}`,
    ),
    ...pipelineLines(version.runtime).map((line) => `  steps     ${line}`),
    `  takes     ${version.signature.inputs.map(describeSpec).join(", ")}`,
    `  gives     ${version.signature.outputs.map(describeSpec).join(", ")}`,
    `  checked   ${counted(version.golden.length, "golden sample")}, batching ${batching}`,
    ...(version.reference === null ? [] : [`  reference ${referenceText(version.reference)}`]),
    ...notes.map((note) => `  note: ${note}`),
    `${terminal.style("cyan", "next:")} ${session.programName} deploy ${name}`,
  ];
}
