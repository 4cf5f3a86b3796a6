import type { Command } from "@commander-js/extra-typings";

import type { LastgoodClient } from "../../../client/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { findPrograms } from "../../build/index.ts";
import { formatAddress, readServerYaml, type Address } from "../../config/index.ts";
import { readModel } from "../../model-folder/index.ts";
import { readServerFile, runningError } from "../../supervise/index.ts";
import { examples } from "../help-text.ts";
import {
  registerServed,
  servedModel,
  switchModel,
  type ServedModel,
  type SwitchedModel,
} from "../serve-model.ts";
import { describeServer, runServer, type ServeSettings } from "../serve-server.ts";
import type { Session } from "../session.ts";
import { settingOption } from "../setting-option.ts";

const SERVE_SETTINGS = [
  "dataDir",
  "apiAddress",
  "serveAddress",
  "grpcAddress",
  "workers",
  "defaultEndpoint",
  "config",
  "actor",
] as const;

/** `serve`: starts the server; with `-m` it serves one version, or switches a running server to it. */
export function define(command: Command, session: Session): void {
  for (const name of SERVE_SETTINGS) {
    command.addOption(
      settingOption(name, name === "workers" ? "-w, --workers <count>" : undefined),
    );
  }
  command
    .description(
      "Start the server: supervisor, control plane and gateway. With -m it serves that version on the port, as `mlflow models serve` does; typed again with another version it switches the model on that open port.",
    )
    .option(
      "-m, --model-uri <version>",
      "serve this registered version: models:/iris/1, iris@v1.0; or a model's file or folder: ./model",
    )
    .option(
      "--allow-code",
      "run versions whose files are code (--runtime process): whoever may register one may run anything here as this user",
    )
    .option("-p, --port <port>", "serving port on 127.0.0.1, short for --serve-address")
    .addHelpText(
      "after",
      examples([
        ["lastgood serve", "API on port 5000, models on 8080, over gRPC on 8081"],
        ["lastgood serve --data-dir ./data --serve-address 127.0.0.1:9000", "elsewhere"],
        ["lastgood serve -m models:/iris/1 -p 1234", "one version, answers like MLflow"],
        ["lastgood serve -m models:/iris/2 -p 1234", "…and again: switches that open port"],
        ["lastgood serve -m ./mlruns/1/models/m-5e/artifacts -p 1234", "an MLflow model folder"],
      ]),
    )
    .action(async (options) => {
      const settings = await readSettings(session, options);
      if (options.modelUri === undefined) {
        await runServer(session, settings, (server) => {
          const name = session.programName;
          const next = `${name} register fraud ./model.onnx --version v1.0   (${name} --help shows the rest)`;
          session.terminal.answer(server.file, () => describeServer(session, server.file, next));
        });
        return;
      }
      await serveModel(session, settings, { reference: options.modelUri, port: options.port });
    });
}

async function readSettings(
  session: Session,
  options: { readonly port?: string | undefined; readonly allowCode?: boolean | undefined },
): Promise<ServeSettings> {
  const config = await session.setting("config");
  const api = await session.required("apiAddress");
  const serve =
    options.port === undefined ? await session.required("serveAddress") : local(options.port);
  const grpc = await session.setting("grpcAddress");
  refuseShared({ API: api, serving: serve, gRPC: grpc });
  return {
    dataDir: await session.required("dataDir"),
    api,
    serve,
    grpc,
    workers: await session.required("workers"),
    defaultEndpoint: await session.setting("defaultEndpoint"),
    ...(await readServerYaml(config)),
    allowCode: options.allowCode === true,
    programs: findPrograms(session.programFolder),
  };
}

/** @throws `config.invalid` where two parts of the server are to listen at one address. */
function refuseShared(parts: Readonly<Record<string, Address | null>>): void {
  const taken = new Map<string, string>();
  for (const [part, address] of Object.entries(parts)) {
    // Of port 0 each gets a free one.
    if (address === null || address.port === 0) continue;
    const text = formatAddress(address);
    const other = taken.get(text);
    if (other !== undefined) {
      throw new LastgoodError("config.invalid", `${other} and ${part} cannot both be at ${text}`, {
        hint: "--api-address, --serve-address (-p) and --grpc-address each need their own; `lastgood config show --origin` says where each comes from",
      });
    }
    taken.set(text, part);
  }
}

function local(port: string): Address {
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new LastgoodError("usage.invalid", `"${port}" is not a port`, {
      hint: "accepted are 0 to 65535, for example -p 1234",
    });
  }
  return { host: "127.0.0.1", port: Number(port) };
}

/** Serves one version: as a new server, or as a client of the one that owns data folder and port. */
async function serveModel(
  session: Session,
  settings: ServeSettings,
  wanted: { readonly reference: string; readonly port: string | undefined },
): Promise<void> {
  const served = servedModel(wanted.reference);
  // A mistake in what lies there is told before anything is started.
  if (served.kind === "path") await readModel(served.path);
  const { model } = served;
  const endpoint = settings.defaultEndpoint;
  try {
    const named = { ...settings, defaultEndpoint: endpoint ?? `${model}-prod` };
    await runServer(session, named, async (server) => {
      const reference = await referenceOf(session, server.client, served);
      const switched = await switchModel(session, server, { reference, endpoint });
      session.terminal.answer({ ...server.file, ...switched }, () => [
        describeSwitched(session, switched),
        ...describeServer(
          session,
          server.file,
          `POST http://${server.file.serveAddress}/invocations   (as with mlflow models serve)`,
        ),
      ]);
    });
  } catch (error) {
    const running = readServerFile(settings.dataDir);
    const isOwned = error instanceof LastgoodError && error.code === "server.running";
    if (!isOwned || running === null) throw error;
    const port = Number(running.serveAddress.split(":").at(-1));
    if (wanted.port !== undefined && Number(wanted.port) !== port) {
      throw runningError(running.dataDir, running);
    }
    const url = `http://${running.apiAddress}`;
    const client = await session.clientFor(url, { forMs: 10_000, whenRefused: true });
    const reference = await referenceOf(session, client, served);
    const switched = await switchModel(session, { client, file: running }, { reference, endpoint });
    session.terminal.answer(switched, () => [
      describeSwitched(session, switched),
      `  serving   http://${running.serveAddress}/invocations (server with pid ${running.pid})`,
    ]);
  }
}

async function referenceOf(
  session: Session,
  client: LastgoodClient,
  served: ServedModel,
): Promise<string> {
  return served.kind === "version" ? served.reference : registerServed(session, client, served);
}

function describeSwitched(session: Session, switched: SwitchedModel): string {
  const { endpoint, version, by, switchMs } = switched;
  const measured = switchMs === null ? "" : ` (switched in ${switchMs.toFixed(1)} ms)`;
  const words = {
    none: `${endpoint} serves ${version} already`,
    rollback: `${endpoint} is back on ${version}${measured}`,
    deploy: `${endpoint} is on ${version}${measured}`,
  };
  return session.terminal.style("green", words[by]);
}
