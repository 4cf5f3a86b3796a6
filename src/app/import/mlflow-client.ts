import { createWriteStream, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

import * as z from "zod";

import type { Fetch, FetchAnswer } from "../../client/index.ts";
import { LastgoodError, plainWords } from "../../core/errors/index.ts";

/*
 * The parts of MLflow's REST API that are read (https://mlflow.org/docs/latest/rest-api.html), as
 * MLflow 2 and 3 answer; what else they say is passed over.
 */
const pairs = z.array(z.object({ key: z.string(), value: z.string().default("") })).default([]);
const versionSchema = z.object({
  version: z.string().regex(/^\d{1,15}$/),
  creation_timestamp: z.coerce.number().optional(),
  current_stage: z.string().optional(),
  description: z.string().optional(),
  run_id: z.string().optional(),
  status: z.string().default("READY"),
  status_message: z.string().optional(),
  tags: pairs,
});
const modelSchema = z.object({
  registered_model: z.object({
    aliases: z.array(z.object({ alias: z.string(), version: z.coerce.string() })).default([]),
  }),
});
const pageSchema = z.object({
  model_versions: z.array(versionSchema).default([]),
  next_page_token: z.string().optional(),
});
const runSchema = z.object({
  run: z.object({
    data: z
      .object({
        metrics: z.array(z.object({ key: z.string(), value: z.unknown() })).default([]),
        params: pairs,
        tags: pairs,
      })
      .prefault({}),
    inputs: z
      .object({
        dataset_inputs: z
          .array(z.object({ dataset: z.object({ digest: z.string().default("") }) }))
          .default([]),
      })
      .prefault({}),
  }),
});
const listingSchema = z.object({
  files: z
    .array(
      z.object({
        path: z.string(),
        is_dir: z.boolean().default(false),
        file_size: z.coerce.number().optional(),
      }),
    )
    .default([]),
});
const errorSchema = z.object({ error_code: z.string(), message: z.string().default("") });

/** A version as MLflow's registry has it. */
export type MlflowVersion = z.infer<typeof versionSchema>;
/** A run as MLflow's tracking server has it. */
export type MlflowRun = z.infer<typeof runSchema>["run"];

/** How the server is reached. */
export interface MlflowClientOptions {
  /** For example `http://127.0.0.1:5000`. */
  readonly url: string;
  readonly fetch: Fetch;
  /** `authorization`, where it asks for one. */
  readonly headers: Record<string, string>;
  /** Between two tries, ms. @default 500 */
  readonly pauseMs?: number;
  /** Versions in one answer. @default 200 */
  readonly pageSize?: number;
}

const WHAT_FROM_IS =
  "--from is the address of an MLflow tracking server, version 2 or later, with the path it is served under";
/** Of `mlflow/protos/databricks.proto`: those that a registry answers a wrong request with. */
const MLFLOW_CODE = /^(RESOURCE|INVALID|BAD_REQUEST|PERMISSION|FEATURE)/;

/** A text in MLflow's filters, which know two kinds of quotes and no way to write them inside. */
function quoted(text: string): string {
  return text.includes("'") ? `"${text}"` : `'${text}'`;
}

const API = "/api/2.0/mlflow";
const ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts";
const TRIES = 4;
const PAGE = 200;
/** Files and folders that one version may have. */
const MAX_ENTRIES = 1_000;
/** Longest silence, ms. */
const SILENCE_MS = 60_000;

/** A reader of an MLflow server's registry, runs and artefacts. */
export class MlflowClient {
  readonly url: string;
  readonly #options: MlflowClientOptions;

  constructor(options: MlflowClientOptions) {
    this.url = options.url.replace(/\/+$/, "");
    this.#options = options;
  }

  /** Every version of a model, the lowest number first. */
  async versions(model: string): Promise<readonly MlflowVersion[]> {
    const all = new Map<string, MlflowVersion>();
    let token = "";
    do {
      const page = await this.#json(pageSchema, `${API}/model-versions/search`, {
        filter: `name=${quoted(model)}`,
        max_results: String(this.#options.pageSize ?? PAGE),
        order_by: "version_number ASC",
        ...(token === "" ? {} : { page_token: token }),
      });
      // A page may begin anew what changed meanwhile.
      for (const version of page.model_versions) all.set(version.version, version);
      // A page without versions is the last one, whatever it says.
      token = page.model_versions.length === 0 ? "" : (page.next_page_token ?? "");
    } while (token !== "");
    return [...all.values()].toSorted((a, b) => Number(a.version) - Number(b.version));
  }

  /** Where a model's aliases point, by the version's number. @throws `version.not-found`. */
  async aliases(name: string): Promise<ReadonlyMap<string, readonly string[]>> {
    const { registered_model: model } = await this.#json(
      modelSchema,
      `${API}/registered-models/get`,
      { name },
    );
    const groups = Map.groupBy(model.aliases, ({ version }) => version);
    return new Map(
      [...groups].map(([version, of]) => [version, of.map(({ alias }) => alias)] as const),
    );
  }

  /** Null where the run is gone. */
  async run(id: string): Promise<MlflowRun | null> {
    try {
      return (await this.#json(runSchema, `${API}/runs/get`, { run_id: id })).run;
    } catch (error) {
      if (LastgoodError.from(error).code === "version.not-found") return null;
      throw error;
    }
  }

  /**
   * Path of a version's artefacts below the server's artefact proxy.
   * @throws `artifact.missing` where the server does not hand them out itself.
   */
  async artifactPath(name: string, version: string): Promise<string> {
    const { artifact_uri: uri } = await this.#json(
      z.object({ artifact_uri: z.string() }),
      `${API}/model-versions/get-download-uri`,
      { name, version },
    );
    const path = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/.exec(uri)?.[1];
    if (path !== undefined) return path.replace(/\/+$/, "");
    throw new LastgoodError(
      "artifact.missing",
      `its files are at ${uri}, not at the server itself`,
      {
        hint: "a server started with --serve-artifacts hands them out; else fetch them with mlflow artifacts download, and register the folder",
      },
    );
  }

  /** Every file below an artefact path, with its size where the server says one. */
  async files(
    root: string,
  ): Promise<readonly { readonly path: string; readonly size: number | null }[]> {
    const files: { path: string; size: number | null }[] = [];
    const folders = [""];
    let entries = 0;
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const path = folder === "" ? root : `${root}/${folder}`;
      const listing = await this.#json(listingSchema, ARTIFACTS, { path });
      for (const entry of listing.files) {
        const below = folder === "" ? entry.path : `${folder}/${entry.path}`;
        if (entry.is_dir) folders.push(below);
        else files.push({ path: below, size: entry.file_size ?? null });
        entries += 1;
        if (entries > MAX_ENTRIES)
          throw new LastgoodError(
            "artifact.invalid",
            `it has more than ${MAX_ENTRIES} files and folders`,
          );
      }
    }
    return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * Fetches one file, unless one of its size lies there: whoever asks has seen to it that only the
   * same source ever wrote there.
   */
  async download(
    root: string,
    file: { readonly path: string; readonly size: number | null },
    to: string,
  ): Promise<void> {
    const standing = statSync(to, { throwIfNoEntry: false });
    if (standing !== undefined && standing.size === file.size) return;
    mkdirSync(dirname(to), { recursive: true });
    const path = `${root}/${file.path}`.split("/").map(encodeURIComponent).join("/");
    await this.#tried(async () => {
      const silence = new Silence(SILENCE_MS);
      try {
        const answer = await this.#get(`${ARTIFACTS}/${path}`, silence.signal);
        const body = silence.heard(answer.body ?? Readable.from([]));
        await pipeline(Readable.from(body), createWriteStream(`${to}.part`));
      } finally {
        silence.end();
      }
      const got = statSync(`${to}.part`).size;
      if (file.size !== null && got !== file.size)
        throw new LastgoodError(
          "server.unreachable",
          `${this.url} broke off: ${got} of ${file.size} bytes of ${file.path}`,
        );
      renameSync(`${to}.part`, to);
    });
  }

  #json<S extends z.ZodType>(
    schema: S,
    path: string,
    query: Readonly<Record<string, string>>,
  ): Promise<z.infer<S>> {
    return this.#tried(async () => {
      const answer = await this.#get(
        `${path}?${new URLSearchParams(query).toString()}`,
        AbortSignal.timeout(SILENCE_MS),
      );
      const text = await answer.text();
      const parsed = schema.safeParse(jsonOf(text), { error: plainWords });
      if (parsed.success) return parsed.data;
      throw new LastgoodError(
        "input.invalid",
        `${this.url}${path} does not answer as MLflow does: ${parsed.error.issues[0]?.message ?? ""}`,
        { hint: WHAT_FROM_IS },
      );
    });
  }

  /** Repeats what a dropped connection or a busy server kept from being answered. */
  async #tried<T>(work: () => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await work();
      } catch (thrown) {
        const error = LastgoodError.from(thrown);
        const isTheirs = error.code === "server.unreachable" || error.code === "internal";
        if (!isTheirs) throw thrown;
        if (tried === TRIES)
          throw new LastgoodError("server.unreachable", error.message, {
            cause: thrown,
            hint: "is the MLflow server up? What was imported stays: type the same again to go on",
          });
        await sleep((this.#options.pauseMs ?? 500) * tried);
      }
    }
  }

  async #get(path: string, signal: AbortSignal): Promise<FetchAnswer> {
    const { fetch, headers } = this.#options;
    const answer = await fetch(`${this.url}${path}`, { headers, signal });
    if (answer.ok) return answer;
    const said = errorSchema.safeParse(jsonOf(await answer.text()));
    const why = said.success
      ? `${said.data.error_code}: ${said.data.message}`
      : `HTTP ${answer.status}`;
    if (answer.status === 401 || answer.status === 403)
      throw new LastgoodError("usage.invalid", `${this.url} refuses: ${why}`, {
        hint: "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
      });
    if (answer.status >= 500 || answer.status === 429)
      throw new LastgoodError("server.unreachable", `${this.url} answers ${why}`);
    const code = answer.status === 404 ? "version.not-found" : "input.invalid";
    // Whoever is there and speaks no MLflow, such as a gateway that moved it below a path.
    const isOther = !said.success || !MLFLOW_CODE.test(said.data.error_code);
    throw new LastgoodError(
      code,
      `${this.url} answers ${why}`,
      isOther ? { hint: WHAT_FROM_IS } : {},
    );
  }
}

/** Gives a download up once nothing came for a while, however long the whole of it takes. */
class Silence {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async *heard(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#timer.refresh();
      yield chunk;
    }
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
