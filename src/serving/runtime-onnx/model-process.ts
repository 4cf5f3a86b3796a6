import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Frame, Reply } from "../../link/peer/index.ts";
import { holdClaim, type Held } from "../claim/index.ts";
import { loadEngine } from "./engine.ts";
import { externalFiles, inlineExternalData } from "./external-data.ts";
import { modelArgumentsSchema, type ModelArguments } from "./model-arguments.ts";
import { decodeRun, encodeRan, type Described } from "./model-requests.ts";
import { ofStep, openPipeline } from "./pipeline.ts";
import type { OnnxSession } from "./session.ts";

interface Loaded {
  readonly session: OnnxSession;
  readonly described: Described;
}

/** Reads the file once; what is hashed is what will be loaded. */
async function readVerified(file: {
  readonly path: string;
  readonly digest: string;
}): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file.path);
  } catch (cause) {
    throw new LastgoodError("artifact.missing", `the model's file ${file.digest} cannot be read`, {
      cause,
      details: { path: file.path, digest: file.digest },
    });
  }
  const found = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (found === file.digest) return bytes;
  throw new LastgoodError("artifact.corrupt", `the model's file does not match its digest`, {
    details: { path: file.path, expected: file.digest, found },
    hint: "register the version's files again, or restore them from a backup",
  });
}

async function load(options: ModelArguments, env: NodeJS.ProcessEnv): Promise<Loaded> {
  const steps = [];
  for (const given of options.steps) {
    const { step } = given;
    const bytes = await readStep(given).catch((error: unknown) => {
      throw options.steps.length === 1 ? error : ofStep(step, error);
    });
    steps.push({ step, bytes });
  }
  const engine = await loadEngine(env["LASTGOOD_ENGINE"] === "wasm" ? "wasm" : "native");
  const session = await openPipeline(engine, steps);
  return { session, described: { signature: session.signature, engine: engine.stamp } };
}

/** A step's bytes with its weights in them, every file of them verified. */
async function readStep(step: ModelArguments["steps"][number]): Promise<Uint8Array> {
  const bytes = await readVerified(step);
  const named = externalFiles(bytes);
  if (named.length === 0) return bytes;
  const beside = step.beside.filter(({ name }) => named.includes(name));
  const files = await Promise.all(
    beside.map(async (file) => [file.name, await readVerified(file)] as const),
  );
  return inlineExternalData(bytes, new Map(files));
}

/** Answers the requests of gateways; one run at a time, in the order they came. */
class ModelServer implements Held {
  readonly ready: Promise<Loaded>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(loading: Promise<Loaded>) {
    this.ready = loading;
  }

  async answer(frame: Frame): Promise<Reply> {
    switch (frame.kind) {
      case "describe":
        return { body: (await this.ready).described };
      case "run":
        return this.#queue(() => this.#run(frame));
      default:
        throw new LastgoodError("link.invalid", `a model process knows no request "${frame.kind}"`);
    }
  }

  /** Resolves when nothing runs any more. */
  async release(): Promise<void> {
    await this.#last;
    const engine = await this.ready
      .then(({ described }) => described.engine.name)
      .catch(() => null);
    // WebAssembly is still being optimised in the background, which would hold an exit up for a second.
    if (engine === "onnxruntime-web") process.kill(process.pid, "SIGKILL");
  }

  /** Runs after those before it, whatever came of them: the clock of one must not hold another. */
  #queue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #run(frame: Frame): Promise<Reply> {
    const { session } = await this.ready;
    const inputs = decodeRun(frame);
    const begun = performance.now();
    const outputs = await session.run(inputs);
    return encodeRan({ outputs, modelMs: performance.now() - begun });
  }
}

/**
 * Runs a model process: loads the one version that it is started with (see `modelArgumentsSchema`) and
 * answers `describe`, `run` and `exit` on its socket until it is told to end or nobody has been
 * connected for `orphanMs`. A load that failed is the answer to `describe`.
 * @throws `link.invalid` when what it is started with is not understood.
 */
export async function runModelProcess(startup: unknown, env: NodeJS.ProcessEnv): Promise<void> {
  const { data: options, error: cause } = modelArgumentsSchema.safeParse(startup);
  if (options === undefined)
    throw new LastgoodError(
      "link.invalid",
      "what the model process is started with was not understood",
      { cause },
    );
  await holdClaim({ ...options, role: "model" }, () => new ModelServer(load(options, env)));
}
