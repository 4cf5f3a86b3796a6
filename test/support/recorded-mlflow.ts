/** What a real MLflow server answered, kept in a file, and a server that answers the same again. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";

import type { Fetch } from "../../src/client/index.ts";

interface Recorded {
  readonly status: number;
  readonly text?: string;
  readonly base64?: string;
}

const FILE = join(import.meta.dirname, "../fixtures/mlflow/recorded.json");

/** Passes requests on and keeps what was answered, by path and query. */
export class MlflowRecording {
  readonly #kept = new Map<string, Recorded>();

  readonly fetch: Fetch = async (url, request) => {
    const { signal } = request ?? {};
    const answer = await fetch(url, signal === undefined ? {} : { signal });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const isText = Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes);
    const { pathname, search } = new URL(url);
    this.#kept.set(pathname + search, {
      status: answer.status,
      ...(isText ? { text: bytes.toString("utf8") } : { base64: bytes.toString("base64") }),
    });
    return {
      ok: answer.ok,
      status: answer.status,
      body: Readable.from([bytes]),
      text: () => Promise.resolve(bytes.toString("utf8")),
    };
  };

  write(): void {
    const sorted = [...this.#kept].toSorted(([a], [b]) => (a < b ? -1 : 1));
    writeFileSync(FILE, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
  }
}

/** Answers what was recorded, and 404 to all else. */
export class RecordedMlflow {
  /** Paths and queries that were asked for. */
  readonly asked: string[] = [];
  /** Called before each answer, with what names the caller; what it throws drops the connection. */
  before: (path: string, authorization: string | undefined) => void = () => undefined;
  readonly #recorded: Readonly<Record<string, Recorded>>;
  readonly #server: Server;

  private constructor() {
    if (!existsSync(FILE)) throw new Error(`${FILE} is missing`);
    this.#recorded = JSON.parse(readFileSync(FILE, "utf8")) as Record<string, Recorded>;
    this.#server = createServer((request, response) => {
      const path = request.url ?? "/";
      this.asked.push(path);
      this.#answer(path, request.headers.authorization, response);
    });
  }

  static async start(): Promise<RecordedMlflow> {
    const mlflow = new RecordedMlflow();
    await new Promise<void>((done) => mlflow.#server.listen(0, "127.0.0.1", () => done()));
    return mlflow;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Artefacts that were asked for since the last call. */
  takeDownloads(): readonly string[] {
    return this.asked
      .splice(0)
      .filter((path) => path.startsWith("/api/2.0/mlflow-artifacts/artifacts/"));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #answer(path: string, authorization: string | undefined, response: ServerResponse): void {
    try {
      this.before(path, authorization);
    } catch {
      response.destroy();
    }
    if (response.destroyed) return;
    const found = this.#recorded[path];
    const bytes =
      found?.base64 === undefined
        ? Buffer.from(found?.text ?? `{"error_code": "ENDPOINT_NOT_FOUND"}`)
        : Buffer.from(found.base64, "base64");
    response.writeHead(found?.status ?? 404, { "content-length": bytes.length });
    response.end(bytes);
  }
}
