import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

import { Option, type Command } from "@commander-js/extra-typings";

import { LastgoodClient } from "../../../client/index.ts";
import { DEFAULT_MAX_FILE_BYTES } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { findPrograms } from "../../build/index.ts";
import type { Address } from "../../config/index.ts";
import { readModelFolder, tellStory } from "../../demo/index.ts";
import { checkAddress } from "../../supervise/index.ts";
import { examples } from "../help-text.ts";
import { runServer, type ReadyServer, type ServeSettings } from "../serve-server.ts";
import { BROKEN_OFF, type Session } from "../session.ts";

const LOOPBACK = "127.0.0.1";

/** `demo`: a server of its own, real models and requests, an update that fails and is rolled back. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Show the main job on real models: v1.0, a better v1.1 that steps through a canary, a broken v2.0 that goes back by itself. It starts a server on a data folder of its own, which is removed at the end; on a terminal the server stays up for you to play with until Ctrl-C.",
    )
    .addOption(
      new Option("--model <name>", "which example")
        .choices(["iris", "breast-cancer", "digits"])
        .default("iris"),
    )
    .addOption(
      new Option("--broken <how>", "how v2.0 is broken")
        .choices(["scaled", "throws", "nan", "slow"])
        .default("scaled"),
    )
    .option("--rate <number>", "requests a second", "200")
    .addHelpText(
      "after",
      examples([
        ["lastgood demo", "wrong answers without a single error"],
        ["lastgood demo --broken throws", "an update that fails on some rows"],
        ["lastgood demo --model breast-cancer --broken nan", "string labels, NaN for scores"],
      ]),
    )
    .action(async (options) => {
      const perSecond = rate(options.rate);
      const model = readModelFolder(
        join(dirname(session.programFolder), "examples", options.model),
      );
      const dataDir = mkdtempSync(join(tmpdir(), "lastgood-demo-"));
      let isTold = false;
      try {
        await runServer(session, await demoSettings(session, dataDir), async (server) => {
          const result = await tellStory({
            terminal: demoTerminal(session),
            model,
            broken: `v2.0-${options.broken}`,
            serveUrl: `http://${server.file.serveAddress}`,
            client: new LastgoodClient({ url: `http://${server.file.apiAddress}` }),
            program: [process.execPath, join(session.programFolder, "cli.cjs")],
            env: { ...session.env, LASTGOOD_DATA_DIR: dataDir, LASTGOOD_URL: "" },
            programName: session.programName,
            perSecond,
          });
          isTold = true;
          session.terminal.answer(result, () => invitation(session, server, model.name));
          return session.terminal.isTerminal ? undefined : "end";
        });
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
      if (!isTold) session.exitCode = BROKEN_OFF;
    });
}

function rate(text: string): number {
  const perSecond = Number(text);
  if (Number.isInteger(perSecond) && perSecond >= 1 && perSecond <= 5_000) return perSecond;
  throw new LastgoodError("usage.invalid", `"${text}" is not a rate`, {
    hint: "accepted are 1 to 5000 requests a second, for example --rate 200",
  });
}

function demoTerminal(session: Session): Parameters<typeof tellStory>[0]["terminal"] {
  const { terminal } = session;
  return {
    isTerminal: terminal.isTerminal,
    columns: terminal.columns,
    style: (format, text) => terminal.style(format, text),
    print: (...lines) => terminal.print(...lines),
    raw: (text) => {
      if (!terminal.json) terminal.raw(text);
    },
  };
}

/** The usual address, or a free port where somebody has it already. */
async function usualOrFree(address: Address, flag: string): Promise<Address> {
  try {
    return await checkAddress(address, flag);
  } catch {
    return { host: LOOPBACK, port: 0 };
  }
}

async function demoSettings(session: Session, dataDir: string): Promise<ServeSettings> {
  return {
    dataDir,
    api: await usualOrFree(await session.required("apiAddress"), "--api-address"),
    serve: await usualOrFree(await session.required("serveAddress"), "--serve-address"),
    // Nobody in the story speaks it.
    grpc: null,
    workers: await session.required("workers"),
    defaultEndpoint: null,
    remotes: {},
    launchers: {},
    maxFileBytes: DEFAULT_MAX_FILE_BYTES,
    errorInputs: "none",
    allowCode: false,
    signals: { prometheus: {}, logs: {}, health: {} },
    programs: findPrograms(session.programFolder),
  };
}

function invitation(session: Session, server: ReadyServer, model: string): string[] {
  if (!session.terminal.isTerminal) return [];
  const name = relative(".", join(dirname(session.programFolder), "bin", session.programName));
  const at = `LASTGOOD_DATA_DIR=${server.file.dataDir} ${name}`;
  return [
    "",
    session.terminal.style("bold", "The server stays up. In another terminal:"),
    `  ${at} status`,
    `  ${at} diff ${model} v1.1 v2.0`,
    `  ${at} reinstate --reason "just trying"`,
    `  curl http://${server.file.serveAddress}/v2`,
    "Ctrl-C ends it and removes its data.",
  ];
}
