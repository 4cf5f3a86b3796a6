import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  blobPath,
  pipelineSteps,
  type ArtefactFile,
  type RuntimeSpec,
} from "../../core/version/index.ts";
import type { Inspected } from "../../link/message/index.ts";
import { ownIdentity } from "../../link/peer/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import { claimSocket } from "../claim/index.ts";
import {
  OWN_REQUESTS,
  replayGolden,
  type InspectRequest,
  type LoadedModel,
  type LoadProof,
  type Runtime,
} from "../runtime/index.ts";
import { inspectModel } from "./inspect.ts";
import type { ModelArguments } from "./model-arguments.ts";
import {
  claimModelProcess,
  runAlone,
  type ModelProcess,
  type ProcessOptions,
} from "./process-control.ts";

/** A model process that nobody is connected to ends itself after this long, ms. */
const ORPHAN_MS = 30_000;
/** Files that the weights of one step may be spread over. */
const MAX_BESIDE = 50;

/** What the runtime needs to know of the server it is in. */
export interface OnnxRuntimeOptions {
  readonly dataDir: string;
  /** Path of the bundle that runs as a model process: `dist/model.cjs`. */
  readonly modelEntry: string;
  /** Build of this server; a running process of another build is replaced, not adopted. */
  readonly build: string;
  /** @default 30000 */
  readonly orphanMs?: number;
}

function stepsOf(
  dataDir: string,
  runtime: RuntimeSpec,
  files: readonly ArtefactFile[],
): ModelArguments["steps"] {
  if (runtime.kind !== "onnx")
    throw new LastgoodError("internal", `a ${runtime.kind} version came to the onnx runtime`);
  return pipelineSteps(runtime).map(({ step, file: path }) => {
    const file = files.find((each) => each.path === path);
    if (file !== undefined) {
      const beside = besideOf(dataDir, path, files);
      return { step, path: join(dataDir, blobPath(file.digest)), digest: file.digest, beside };
    }
    throw new LastgoodError("artifact.missing", `the version has no file ${path}`, {
      details: { files: files.map((each) => each.path) },
    });
  });
}

/** The largest files in and below a step's folder: which of them hold weights, the step says. */
function besideOf(
  dataDir: string,
  step: string,
  files: readonly ArtefactFile[],
): ModelArguments["steps"][number]["beside"] {
  const folder = step.slice(0, step.lastIndexOf("/") + 1);
  return files
    .filter(({ path }) => path !== step && path.startsWith(folder))
    .toSorted((a, b) => b.size - a.size)
    .slice(0, MAX_BESIDE)
    .map(({ path, digest }) => ({
      name: path.slice(folder.length),
      path: join(dataDir, blobPath(digest)),
      digest,
    }));
}

/** Runs ONNX versions, each in a process of its own. */
export class OnnxRuntime implements Runtime {
  readonly #options: OnnxRuntimeOptions;
  readonly #process: ProcessOptions;

  constructor(options: OnnxRuntimeOptions) {
    this.#options = options;
    this.#process = {
      dataDir: options.dataDir,
      modelEntry: options.modelEntry,
      self: ownIdentity("gateway", options.build, options.dataDir),
    };
  }

  async load(subject: string, revision: RouteRevision): Promise<LoadedModel> {
    const model = await this.#claim(subject, revision);
    try {
      const proof = await prove(model, revision);
      return loadedModel(model, revision, proof);
    } catch (error) {
      await model.stop();
      throw error;
    }
  }

  async inspect(request: InspectRequest): Promise<Inspected> {
    const model = await this.#claim(`inspect/${randomBytes(4).toString("hex")}`, request);
    try {
      return await inspectModel(model, request);
    } finally {
      await model.stop();
    }
  }

  #claim(
    subject: string,
    version: Pick<RouteRevision, "digest" | "runtime" | "files">,
  ): Promise<ModelProcess> {
    const { dataDir, build, orphanMs = ORPHAN_MS } = this.#options;
    const args: ModelArguments = {
      socket: claimSocket(dataDir, subject, version.digest),
      build,
      subject,
      digest: version.digest,
      steps: stepsOf(dataDir, version.runtime, version.files),
      orphanMs,
    };
    return claimModelProcess(this.#process, args);
  }
}

async function prove(model: ModelProcess, revision: RouteRevision): Promise<LoadProof> {
  const samples = await replayGolden(revision.golden, (inputs) => runAlone(model, inputs));
  return {
    proof: `digest verified, ${samples}`,
    provenAt: Date.now(),
    engine: model.described.engine,
    pid: model.pid,
  };
}

function loadedModel(model: ModelProcess, revision: RouteRevision, proof: LoadProof): LoadedModel {
  return {
    address: {
      kind: "onnx",
      sockets: [model.socket],
      batching: revision.batching.on,
      queue: revision.limits.queue + OWN_REQUESTS,
    },
    proof,
    died: model.died,
    replay: () => prove(model, revision),
    unload: () => model.stop(),
  };
}
