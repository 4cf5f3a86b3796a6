import { Option, type Command } from "@commander-js/extra-typings";
import * as z from "zod";

import type { RegisterBody, Registered } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import {
  describeSpec,
  parseModelName,
  parseVersionName,
  signatureSchema,
} from "../../../core/version/index.ts";
import { examples } from "../help-text.ts";
import { listModelFiles, readJsonFile, uploadFiles, type ModelFile } from "../model-files.ts";
import { numberPairValue, pairValue } from "../option-value.ts";
import { bytes, counted, shortDigest } from "../phrase.ts";
import type { Session } from "../session.ts";
import { fullName } from "../version-words.ts";

const EXAMPLES = [
  ["lastgood register fraud ./model.onnx --version v1.0", ""],
  ["lastgood register fraud ./model.onnx --version v1.1 --metric auc=0.94 \\", ""],
  ["    --param depth=6 --tag team=risk --input-example example.json", ""],
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
    .argument("[path]", "an .onnx file, or a folder with everything that belongs to the model")
    .option("--version <name>", "the version's name, for example v1.1; never reused")
    .option("--metric <key=number>", "a measured value, repeatable: auc=0.94", numberPairValue)
    .option("--param <key=value>", "a parameter of the training, repeatable: depth=6", pairValue)
    .option("--tag <key=value>", "a tag, repeatable: team=risk", pairValue)
    .option("--input-example <file>", "JSON file with real inputs; golden samples come from it")
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
      "with --runtime process: what starts a server on the folder (mlflow, python, bentoml, or a name in server.yaml); needs a server with --allow-code",
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
      checkSource(path, options);
      const files = path === undefined ? [] : await listModelFiles(path);
      const { inputExample, run, gitCommit, datasetDigest } = options;
      const body: RegisterBody = {
        name,
        files: files.map((file) => ({ path: file.name, digest: file.digest })),
        runtime: options.runtime,
        remote: options.remote ?? null,
        launcher: options.launcher ?? null,
        signature: options.signature === undefined ? null : readSignature(options.signature),
        inputExample: inputExample === undefined ? null : readJsonFile(inputExample),
        metrics: options.metric ?? {},
        params: options.param ?? {},
        tags: options.tag ?? {},
        lineage: withoutGaps({ run, git_commit: gitCommit, dataset_digest: datasetDigest }),
        actor: await session.actor(),
      };
      if (options.dryRun === true) {
        session.terminal.answer({ dryRun: true, model, ...body }, () => [
          `${session.terminal.style("yellow", "dry run:")} ${model}@${name ?? "(next number)"} would be stored`,
          ...files.map(fileLine),
        ]);
        return;
      }
      const client = await session.client();
      await uploadFiles(client, files, (line) => session.terminal.note(line));
      const registered = await client.register(model, body);
      session.terminal.answer(registered, () => describeRegistered(registered, session));
    });
}

/** Options that name what serves a version, and the runtime each goes with. */
const NAMED_BY = { remote: "remote", launcher: "process" } as const;

function checkSource(
  path: string | undefined,
  options: {
    readonly runtime: RegisterBody["runtime"];
    readonly remote?: string | undefined;
    readonly launcher?: string | undefined;
  },
): void {
  for (const [option, runtime] of Object.entries(NAMED_BY)) {
    const isGiven = options[option as keyof typeof NAMED_BY] !== undefined;
    if (options.runtime === runtime && !isGiven)
      throw new LastgoodError("usage.invalid", `--runtime ${runtime} needs --${option} NAME`, {
        hint: `the names are those under ${option}s: in the server's server.yaml${option === "launcher" ? ", and mlflow, python, bentoml" : ""}`,
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

function readSignature(path: string): NonNullable<RegisterBody["signature"]> {
  const parsed = signatureSchema.safeParse(readJsonFile(path));
  if (parsed.success) return parsed.data;
  throw new LastgoodError(
    "usage.invalid",
    `${path} is no signature: ${z.prettifyError(parsed.error)}`,
    {
      hint: '{"inputs": [{"name": "x", "kind": "tensor", "dtype": "FP64", "shape": [-1, 4]}], "outputs": [{"name": "y", "kind": "tensor", "dtype": "INT64", "shape": [-1]}]}',
    },
  );
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
    `  takes     ${version.signature.inputs.map(describeSpec).join(", ")}`,
    `  gives     ${version.signature.outputs.map(describeSpec).join(", ")}`,
    `  checked   ${counted(version.golden.length, "golden sample")}, batching ${batching}`,
    ...notes.map((note) => `  note: ${note}`),
    `${terminal.style("cyan", "next:")} ${session.programName} deploy ${name}`,
  ];
}
