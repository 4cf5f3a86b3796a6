import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { z } from "zod";

import { LastgoodError } from "../../src/core/errors/index.ts";
import type { Launcher } from "../../src/core/launcher/index.ts";
import {
  isMapSequence,
  tensorFromWire,
  tensorToWire,
  wireTensorSchema,
  type OutputValue,
  type Tensor,
} from "../../src/core/tensor/index.ts";
import {
  blobPath,
  parseDigest,
  parseModelName,
  type Digest,
  type Signature,
  type TensorSpec,
} from "../../src/core/version/index.ts";
import type { Inspected } from "../../src/link/message/index.ts";
import { DEFAULT_LIMITS, type RouteRevision } from "../../src/link/route/index.ts";
import {
  connectModel,
  OnnxRuntime,
  type OnnxRuntimeOptions,
} from "../../src/serving/runtime-onnx/index.ts";
import { connectPassThrough } from "../../src/serving/runtime-passthrough/index.ts";
import {
  connectProcess,
  connectUnread,
  ProcessRuntime,
} from "../../src/serving/runtime-process/index.ts";
import { connectRemoteModel, RemoteRuntime } from "../../src/serving/runtime-remote/index.ts";
import type {
  InspectRequest,
  LoadedModel,
  ModelClient,
  Runtime,
} from "../../src/serving/runtime/index.ts";

const root = join(import.meta.dirname, "../..");

/** Bytes of a fixture, or of an example such as `iris/v1.0`. */
export function modelBytes(name: string): Buffer {
  const folder = name.includes("/") ? "examples" : "test/fixtures/onnx";
  return readFileSync(join(root, folder, `${name}.onnx`));
}

/** What a runtime is asked to load or inspect. */
export type Version = Pick<RouteRevision, "digest" | "runtime" | "files">;

/** A temporary data folder with stored versions in it. */
export class DataFolder {
  readonly path = mkdtempSync(join(tmpdir(), "lastgood-runtime-"));

  /** Stores bytes as a version's only file, under their own digest or a claimed one. */
  store(bytes: Buffer, claimed?: Digest): Version {
    const digest =
      claimed ?? parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    const path = this.blob(digest);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    return {
      digest,
      runtime: { kind: "onnx", file: "model.onnx" },
      files: [{ path: "model.onnx", digest, size: bytes.length }],
    };
  }

  blob(digest: Digest): string {
    return join(this.path, blobPath(digest));
  }

  /** What a runtime over this folder is made with. */
  onnxOptions(overrides: Partial<OnnxRuntimeOptions> = {}): OnnxRuntimeOptions {
    const modelEntry = join(root, "dist/model.cjs");
    return { dataDir: this.path, modelEntry, build: "test", ...overrides };
  }

  onnxRuntime(overrides: Partial<OnnxRuntimeOptions> = {}): OnnxRuntime {
    return new OnnxRuntime(this.onnxOptions(overrides));
  }

  /** Stores the fixture's server with settings of its own. */
  storeServer(settings: Readonly<Record<string, unknown>>): Version {
    const [code] = this.store(readFileSync(join(root, "test/fixtures/python/serve.py"))).files;
    const [model] = this.store(Buffer.from(JSON.stringify(settings))).files;
    if (code === undefined || model === undefined) throw new Error("nothing was stored");
    return {
      digest: model.digest,
      runtime: { kind: "process", launcher: "fixture" },
      files: [
        { ...code, path: "serve.py" },
        { ...model, path: "model.json" },
      ],
    };
  }

  processRuntime(launcher: Partial<Launcher> = {}, orphanMs = 5_000): ProcessRuntime {
    return new ProcessRuntime({
      dataDir: this.path,
      shimEntry: join(root, "dist/shim.cjs"),
      build: "test",
      launchers: { fixture: { ...FIXTURE_LAUNCHER, ...launcher } },
      allowCode: true,
      orphanMs,
    });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A revision of a version as a route would carry it. */
export function revisionOf(version: Version, inspected: Inspected): RouteRevision {
  return {
    revision: 1,
    version: { model: parseModelName("fraud"), name: null, sequence: 1 },
    ...version,
    signature: inspected.signature,
    contract: inspected.signature,
    batching: inspected.batching,
    golden: inspected.golden,
    limits: DEFAULT_LIMITS,
  };
}

/** A request for what a version is. */
export function inspectRequest(
  version: Version,
  examples: readonly (readonly Tensor[])[] = [],
  signature: RouteRevision["signature"] | null = null,
): InspectRequest {
  return { ...version, signature, examples };
}

/** A worker's connection to whatever was loaded. */
export async function connect(loaded: LoadedModel): Promise<ModelClient> {
  const { address } = loaded;
  if (address.kind === "passthrough")
    return address.shim === null
      ? connectPassThrough(address)
      : connectUnread(address, address.shim);
  if (address.kind === "onnx") return connectModel(address);
  return address.kind === "remote" ? connectRemoteModel(address) : connectProcess(address);
}

/** One implementation of `Runtime` in a world of its own. */
export interface Subject {
  readonly runtime: Runtime;
  /** The named model as this runtime's version of it. */
  version(model: string): Promise<Version>;
  end(): Promise<void>;
}

/** Versions in processes of our own. */
export function onnxSubject(): Subject {
  const folder = new DataFolder();
  return {
    runtime: folder.onnxRuntime(),
    version: (model) => Promise.resolve(folder.store(modelBytes(model))),
    end: () => {
      folder.remove();
      return Promise.resolve();
    },
  };
}

/** What starts the servers of `test/fixtures/python`. */
export const FIXTURE_LAUNCHER: Launcher = {
  command: ["{python}", "serve.py"],
  protocol: "oip",
  model: "a model",
  path: null,
  health: null,
  retries: true,
  python: "python3",
  environment: "none",
  requirements: "requirements.txt",
  env: {},
  startTimeoutMs: 20_000,
  installTimeoutMs: 60_000,
  stopTimeoutMs: 1_000,
  unhealthyMs: 0,
  memoryBytes: null,
};

/** Versions in Python servers under shims. */
export function processSubject(): Subject {
  const folder = new DataFolder();
  return {
    runtime: folder.processRuntime(),
    version: (model) => Promise.resolve(folder.storeServer({ model })),
    end: () => {
      folder.remove();
      return Promise.resolve();
    },
  };
}

/** Versions behind real Open Inference Protocol servers, one for each model that is asked for. */
export function remoteSubject(): Subject {
  const servers: OipServer[] = [];
  const remotes: Record<string, { url: string; protocol: "oip"; model: string; retries: true }> =
    {};
  return {
    runtime: new RemoteRuntime(remotes),
    version: async (model) => {
      const server = await OipServer.start(model);
      servers.push(server);
      remotes[model] = { url: server.url, protocol: "oip", model, retries: true };
      return remoteVersion(model);
    },
    end: async () => {
      for (const server of servers) await server.stop();
    },
  };
}

/** A version that is served by the remote of this name. */
export function remoteVersion(remote: string): Version {
  const digest = parseDigest(`sha256:${createHash("sha256").update(remote).digest("hex")}`);
  return { digest, runtime: { kind: "remote", remote }, files: [] };
}

const requestSchema = z.object({
  inputs: z.array(
    z.object({
      name: z.string(),
      datatype: wireTensorSchema.shape.dtype,
      shape: wireTensorSchema.shape.shape,
      data: z.array(z.union([z.number(), z.string(), z.boolean()])),
    }),
  ),
});

/** Text of the integers beyond 2^53, so that they come through. */
function exactJson(text: string): string {
  return text.replaceAll(/(?<=[[,])-?\d{16,20}(?=[\],])/g, '"$&"');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}

/** A small server of the Open Inference Protocol v2 with the real engine behind it. */
export class OipServer {
  /** Answers the next requests with this instead. */
  broken: { readonly status: number; readonly body: string } | null = null;
  /** Drops this many connections instead of answering. */
  drops = 0;
  infers = 0;
  /** Answers inference requests so much later, ms. */
  delayMs = 0;
  readonly #model: string;
  readonly #folder: DataFolder;
  readonly #loaded: LoadedModel;
  readonly #client: ModelClient;
  readonly #signature: Signature;
  readonly #server: Server;

  private constructor(
    model: string,
    folder: DataFolder,
    behind: { loaded: LoadedModel; client: ModelClient; signature: Signature },
  ) {
    this.#model = model;
    this.#folder = folder;
    this.#loaded = behind.loaded;
    this.#client = behind.client;
    this.#signature = behind.signature;
    this.#server = createServer((request, response) => {
      if (this.drops > 0) {
        this.drops -= 1;
        request.socket.destroy();
        return;
      }
      void this.#answer(request).then(([status, body]) => {
        response.writeHead(status, { "content-type": "application/json" }).end(body);
      });
    });
  }

  static async start(model: string): Promise<OipServer> {
    const folder = new DataFolder();
    const version = folder.store(modelBytes(model));
    const runtime = folder.onnxRuntime();
    const inspected = await runtime.inspect(inspectRequest(version));
    const loaded = await runtime.load("remote/1", revisionOf(version, inspected));
    const client = await connect(loaded);
    const server = new OipServer(model, folder, { loaded, client, signature: inspected.signature });
    await new Promise<void>((resolve) => {
      server.#server.listen(0, "127.0.0.1", () => resolve());
    });
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#client.close();
    await this.#loaded.unload();
    this.#folder.remove();
  }

  async #answer(request: IncomingMessage): Promise<[number, string]> {
    if (this.broken !== null) return [this.broken.status, this.broken.body];
    const base = `/v2/models/${encodeURIComponent(this.#model)}`;
    if (request.url === `${base}/ready`) return [200, '{"ready":true}'];
    if (request.url === base) return [200, this.#metadata()];
    if (request.url !== `${base}/infer`) return [404, '{"error":"no such path"}'];
    this.infers += 1;
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    try {
      return [200, await this.#infer(await bodyOf(request))];
    } catch (error) {
      return [500, JSON.stringify({ error: LastgoodError.from(error).message })];
    }
  }

  #metadata(): string {
    const outputs = this.#signature.outputs.filter((output) => output.kind === "tensor");
    return JSON.stringify({
      name: this.#model,
      versions: ["7"],
      platform: "onnx_onnxv1",
      inputs: this.#signature.inputs.map(specText),
      outputs: outputs.map(specText),
    });
  }

  async #infer(body: string): Promise<string> {
    const { inputs } = requestSchema.parse(JSON.parse(exactJson(body)));
    const tensors = inputs.map(({ datatype, data, ...rest }) =>
      tensorFromWire({
        ...rest,
        dtype: datatype,
        data: data.map((each) => (typeof each === "boolean" ? Number(each) : each)),
      }),
    );
    const { outputs } = await this.#client.infer(tensors, { timeoutMs: 10_000 });
    return `{"outputs":[${outputs.map(outputText).join(",")}]}`;
  }
}

function specText({ name, dtype, shape }: TensorSpec) {
  return { name, datatype: dtype, shape };
}

function outputText(output: OutputValue): string {
  if (isMapSequence(output)) throw new Error("maps have no form in this protocol");
  const { name, dtype, shape, data } = tensorToWire(output);
  const text = JSON.stringify({ name, datatype: dtype, shape, data });
  // 64-bit integers are text in our own JSON, numbers in the protocol's.
  return dtype === "INT64" ? text.replaceAll(/"(-?\d+)"/g, "$1") : text;
}
