import type { Command } from "@commander-js/extra-typings";

import { LastgoodError } from "../../../core/errors/index.ts";
import { BUILT_IN_NAMES } from "../../../core/launcher/index.ts";
import { cacheDir, type Environment } from "../../config/index.ts";
import {
  folderOffers,
  gitOffers,
  importVersions,
  MlflowClient,
  mlflowOffers,
  parseModelsUri,
  type ImportedVersion,
  type OfferedVersion,
} from "../../import/index.ts";
import { readJsonFile } from "../../model-folder/index.ts";
import { examples } from "../help-text.ts";
import { httpFetch } from "../http-fetch.ts";
import { counted } from "../phrase.ts";
import type { Session } from "../session.ts";
import { readSignature } from "../signature-file.ts";
import { STARTING } from "../slow-steps.ts";

interface Options {
  readonly from?: string | undefined;
  readonly fromGit?: string | undefined;
  readonly path?: string | undefined;
  readonly as?: string | undefined;
  readonly all?: boolean | undefined;
  readonly launcher?: string | undefined;
  readonly signature?: string | undefined;
  readonly inputExample?: string | undefined;
  readonly verify?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

/** `import`: registers versions from where they are now. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Register versions from where they are now: a folder of numbered versions, a git repository with GTO tags and DVC files, an MLflow server's registry. Typed again it goes on where it was; what is here already is left alone.",
    )
    .argument(
      "[what]",
      "a folder; models:/fraud/3 of an MLflow server; fraud@v1.2.0 of a git repository",
    )
    .option("--from <url>", "the MLflow server; MLFLOW_TRACKING_URI where it is left out")
    .option(
      "--from-git <folder>",
      "a git repository on this machine, with what DVC tracks already pulled",
    )
    .option("--path <path>", "with --from-git: where the model lies in it, if no dvc.yaml says")
    .option("--as <model>", "the model's name here")
    .option("--all", "every version of an MLflow model")
    .option(
      "--launcher <name>",
      `what starts a server on each version's folder, where no engine of ours runs it (${BUILT_IN_NAMES}, or a name in server.yaml); needs a server with --allow-code`,
    )
    .option(
      "--signature <file>",
      "JSON file with inputs and outputs of every version, where its server does not describe its own",
    )
    .option(
      "--input-example <file>",
      "JSON file with real inputs of every version; golden samples come from it",
    )
    .option("--verify", "fetch what is here already too, and compare its bytes")
    .option("--dry-run", "say what would be imported, fetch and store nothing")
    .addHelpText(
      "after",
      examples([
        ["lastgood import ./models/fraud", "models/fraud/1/model.onnx, models/fraud/2/… as v1, v2"],
        ["lastgood import models:/fraud/3 --from http://mlflow:5000", "one version, as v3"],
        [
          "lastgood import models:/fraud --all --from http://mlflow:5000",
          "all of them, with aliases",
        ],
        ["lastgood import fraud --from-git ./repo", "tags fraud@v1.2.0, stages as aliases"],
        ["lastgood import ./models/score --launcher python", "folders with a serve.py"],
      ]),
    )
    .action((what, options) => run(what, options, session));
}

async function run(what: string | undefined, options: Options, session: Session): Promise<void> {
  const said = saidOf(options);
  const offers = await offersOf(what, options, session.env);
  const dryRun = options.dryRun === true;
  let count = 0;
  const versions = await importVersions(offers, {
    client: await session.client(),
    cacheDir: cacheDir(session.env),
    actor: await session.actor(),
    dryRun,
    verify: options.verify === true,
    said,
    onStart: (origin) => session.terminal.note(`${origin}: ${STARTING}`),
    onVersion: (version) => {
      count += 1;
      session.terminal.note(`[${count}/${offers.length}] ${progress(version)}`);
    },
  });
  const total = (outcome: ImportedVersion["outcome"]): number =>
    versions.filter((version) => version.outcome === outcome).length;
  const totals = {
    imported: total("imported"),
    present: total("present"),
    refused: total("refused"),
    offered: total("offered"),
  };
  if (totals.refused > 0) session.exitCode = 1;
  session.terminal.answer({ dryRun, ...totals, versions }, () => summary(totals, session));
}

/** @throws `usage.invalid` for a file that cannot be read. */
function saidOf({
  launcher,
  signature,
  inputExample,
}: Options): Parameters<typeof importVersions>[1]["said"] {
  return {
    launcher: launcher ?? null,
    signature: signature === undefined ? null : readSignature(signature),
    inputExample: inputExample === undefined ? null : readJsonFile(inputExample),
  };
}

async function offersOf(
  what: string | undefined,
  options: Options,
  env: Environment,
): Promise<readonly OfferedVersion[]> {
  const as = options.as ?? null;
  if (options.from !== undefined && options.fromGit !== undefined)
    throw new LastgoodError("usage.invalid", "--from and --from-git are two places", {
      hint: "leave one of them out",
    });
  if (options.fromGit !== undefined) {
    const [artifact = null, version = null] = what === undefined ? [] : what.split("@");
    return gitOffers({
      repository: options.fromGit,
      artifact,
      version,
      path: options.path ?? null,
      as,
    });
  }
  if (what === undefined)
    throw new LastgoodError("usage.invalid", "what should be imported?", {
      hint: "a folder, models:/fraud/3 with --from <url>, or --from-git <folder>",
    });
  if (what.startsWith("models:") || options.from !== undefined)
    return fromMlflow(what, options, env);
  return folderOffers(what, as, options);
}

async function fromMlflow(
  what: string,
  {
    from,
    as = null,
    all = false,
  }: { from?: string | undefined; as?: string | null | undefined; all?: boolean | undefined },
  env: Environment,
): Promise<readonly OfferedVersion[]> {
  const wish = parseModelsUri(what);
  const given = from ?? env["MLFLOW_TRACKING_URI"];
  if (wish === null)
    throw new LastgoodError("usage.invalid", `"${what}" names nothing in an MLflow registry`, {
      hint: "accepted are models:/fraud/3, models:/fraud@champion, and models:/fraud with --all",
    });
  const address = addressOf(given);
  if (wish.version === null && wish.alias === null && !all)
    throw new LastgoodError("usage.invalid", `which version of ${wish.model}?`, {
      hint: `models:/${wish.model}/3, models:/${wish.model}@champion, or --all`,
    });
  const headers = authorization(env, address);
  // What it is called in messages and in the lineage holds no password.
  address.username = "";
  address.password = "";
  const { href: url } = address;
  return mlflowOffers(new MlflowClient({ url, fetch: httpFetch, headers }), { ...wish, as });
}

/** @throws `usage.invalid` where it is no address of a server. */
function addressOf(given: string | undefined): URL {
  const hint = "--from http://host:port";
  if (given === undefined)
    throw new LastgoodError("usage.invalid", "an MLflow registry needs its server's address", {
      hint,
    });
  const url = /^https?:\/\//.test(given) ? URL.parse(given) : null;
  if (url === null)
    throw new LastgoodError("usage.invalid", `"${given}" is no address of an MLflow server`, {
      hint,
    });
  return url;
}

/** As MLflow's own clients read it: https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth */
function authorization(env: Environment, address: URL): Record<string, string> {
  const token = env["MLFLOW_TRACKING_TOKEN"];
  const user = env["MLFLOW_TRACKING_USERNAME"];
  if (user !== undefined) return basic(user, env["MLFLOW_TRACKING_PASSWORD"] ?? "");
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  if (address.username === "") return {};
  return basic(decodeURIComponent(address.username), decodeURIComponent(address.password));
}

function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

function progress({ model, name, outcome, why, notes, origin }: ImportedVersion): string {
  const label = `${model}@${name}`;
  const words = {
    imported: `${label} imported`,
    present: `${label} is here already`,
    refused: `${label} refused: ${why ?? ""}`,
    offered: `${label} would be imported from ${origin}`,
  };
  return [
    words[outcome],
    ...notes.map((note) => `  ${note.startsWith("next: ") ? "" : "note: "}${note}`),
  ].join("\n");
}

function summary(
  totals: Readonly<Record<ImportedVersion["outcome"], number>>,
  session: Session,
): string[] {
  const { terminal } = session;
  if (totals.offered > 0)
    return [
      `${terminal.style("yellow", "dry run:")} ${counted(totals.offered, "version")} would be imported, ${totals.present} here already`,
    ];
  const refused =
    totals.refused === 0 ? "" : `, ${terminal.style("red", `${totals.refused} refused`)}`;
  return [
    `${counted(totals.imported, "version")} imported, ${totals.present} here already${refused}`,
  ];
}
