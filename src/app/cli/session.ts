import { hostname, userInfo } from "node:os";

import type { LastgoodClient, RetryOptions } from "../../client/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Environment, SettingName, SettingValue, Sources } from "../config/index.ts";
import type { ServerFile } from "../supervise/index.ts";
import type { Terminal } from "./terminal.ts";

/** What a verb may use while it runs. */
export interface SessionOptions {
  readonly terminal: Terminal;
  readonly env: Environment;
  /** `lastgood`, or `mlops` when called by that name. */
  readonly programName: string;
  /** Folder of the bundles. */
  readonly programFolder: string;
}

/** The server that is talked to. */
export interface Connection {
  readonly url: string;
  /** The file that named the server, or null where its URL was given. */
  readonly server: ServerFile | null;
  readonly client: LastgoodClient;
}

/** Exit code of what was broken off: by Ctrl-C, or because nobody reads it any more. */
export const BROKEN_OFF = 130;

/** How long a call whose connection was dropped is repeated, ms. */
const RETRY_MS = 10_000;

/** One run of one verb: its terminal, its settings, its server. */
export class Session {
  readonly terminal: Terminal;
  readonly env: Environment;
  readonly programName: string;
  readonly programFolder: string;
  /** Exit code once the verb has ended without an error. */
  exitCode = 0;
  #flags: Sources["flags"] = {};

  constructor(options: SessionOptions) {
    this.terminal = options.terminal;
    this.env = options.env;
    this.programName = options.programName;
    this.programFolder = options.programFolder;
  }

  /** Takes in the flags of the command that is about to run. */
  use(flags: Readonly<Record<string, unknown>>): void {
    this.terminal.json = flags["json"] === true;
    const texts = Object.entries(flags).filter(([, value]) => typeof value === "string");
    this.#flags = Object.fromEntries(texts);
  }

  /** Where settings come from: flags, environment, the user's file. */
  async sources(): Promise<Sources> {
    const { readUserFile } = await import("../config/index.ts");
    return { flags: this.#flags, env: this.env, file: await readUserFile(this.env) };
  }

  /**
   * A setting's value, or null where it has none.
   * @throws `config.invalid`.
   */
  async setting<N extends SettingName>(name: N): Promise<SettingValue<N> | null> {
    const { resolveSetting } = await import("../config/index.ts");
    return resolveSetting(name, await this.sources());
  }

  /** A setting's value where its default makes sure of one. @throws `config.invalid`. */
  async required<N extends SettingName>(name: N): Promise<SettingValue<N>> {
    const { requireSetting } = await import("../config/index.ts");
    return requireSetting(name, await this.sources());
  }

  /** `server.json` of the data folder, or null. */
  async serverFile(): Promise<ServerFile | null> {
    const { readServerFile } = await import("../supervise/index.ts");
    return readServerFile(await this.required("dataDir"));
  }

  /**
   * The server that `--url` or LASTGOOD_URL names, else the one that owns the data folder.
   * @throws `server.unreachable` when none is named and none owns it.
   */
  async connect(retry: Partial<RetryOptions> = {}): Promise<Connection> {
    const url = await this.setting("url");
    const server = url === null ? await this.serverFile() : null;
    if (url === null && server === null) {
      throw new LastgoodError(
        "server.unreachable",
        `no server runs on the data folder ${await this.required("dataDir")}`,
        { hint: `start one with: ${this.programName} serve (or name one with --url)` },
      );
    }
    const { isAlive } = await import("../supervise/index.ts");
    const whenRefused = server !== null && isAlive(server.pid);
    const address = url ?? `http://${server?.apiAddress ?? ""}`;
    return {
      url: address,
      server,
      client: await this.clientFor(address, { forMs: RETRY_MS, whenRefused, ...retry }),
    };
  }

  /** A client for the API at an address. */
  async clientFor(url: string, retry: RetryOptions): Promise<LastgoodClient> {
    const { LastgoodClient: Client } = await import("../../client/index.ts");
    const { httpFetch } = await import("./http-fetch.ts");
    const { patientFetch } = await import("./patient-fetch.ts");
    const fetch = patientFetch(httpFetch, () =>
      this.terminal.note(
        `no answer yet from ${url} (Ctrl-C ends the waiting); on the server's machine ${this.programName} rollback works without one`,
      ),
    );
    return new Client({ url, retry, token: this.env["LASTGOOD_TOKEN"], fetch });
  }

  /** The client of the server that is talked to. @throws as `connect`. */
  async client(): Promise<LastgoodClient> {
    return (await this.connect()).client;
  }

  /** Who does this: `--actor`, LASTGOOD_ACTOR, the CI job's identity, else user@host. */
  async actor(): Promise<string> {
    const given = await this.setting("actor");
    if (given !== null) return given;
    const ci = this.env["GITHUB_ACTOR"] ?? this.env["GITLAB_USER_LOGIN"] ?? "";
    return (ci === "" ? `${userName()}@${hostname()}` : ci).slice(0, 200);
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user id without an entry in the password file.
    return `uid-${process.getuid?.() ?? 0}`;
  }
}
