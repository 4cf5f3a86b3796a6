import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import type { PeerIdentity } from "../../link/peer/index.ts";
import { claimProcess, processLog, type ClaimedProcess } from "../claim/index.ts";
import type { ModelArguments } from "./model-arguments.ts";
import {
  decodeRan,
  describedSchema,
  encodeRun,
  type Described,
  type Ran,
} from "./model-requests.ts";
import type { TensorParts } from "./tensor-frame.ts";

/** Its engine blocks hello while it loads and runs, so silence is not death for this long, ms. */
const HELLO_TIMEOUT_MS = 30_000;
const LOAD_TIMEOUT_MS = 120_000;
/** Longest one sample may take, ms. */
const ALONE_TIMEOUT_MS = 30_000;
/** After `exit` a process has this long before TERM, and as long again before KILL, ms. */
const PATIENCE_MS = 1_000;

/** What every model process of one gateway has in common. */
export interface ProcessOptions {
  readonly dataDir: string;
  /** The bundle that runs as a model process. */
  readonly modelEntry: string;
  readonly self: PeerIdentity;
}

/** A model process that has loaded its version. */
export interface ModelProcess {
  readonly socket: string;
  readonly pid: number;
  readonly described: Described;
  /** Resolves with why when it ended without being asked to. */
  readonly died: Promise<string>;
  /**
   * @throws `runtime.failed` with what the version threw; `runtime.timeout` past `timeoutMs`;
   * `runtime.unavailable` when it died.
   */
  run(inputs: readonly TensorParts[], timeoutMs: number): Promise<Ran>;
  /** Ends it: asks, then TERM, then KILL. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** Runs one set of inputs by itself. @throws as `ModelProcess.run` does. */
export async function runAlone(
  model: ModelProcess,
  inputs: readonly Tensor[],
): Promise<readonly OutputValue[]> {
  const parts = inputs.map((input) => ({ ...input, parts: [input.data] }));
  return (await model.run(parts, ALONE_TIMEOUT_MS)).outputs;
}

async function run(
  claimed: ClaimedProcess,
  inputs: readonly TensorParts[],
  timeoutMs: number,
): Promise<Ran> {
  const { peer } = claimed;
  const { body, payload } = encodeRun(inputs);
  try {
    return decodeRan(await peer.request("run", body, { timeoutMs, payload }));
  } catch (cause) {
    if (LastgoodError.from(cause).code !== "server.unreachable") throw cause;
    if (peer.isOpen)
      throw new LastgoodError(
        "runtime.timeout",
        `the model did not answer within ${timeoutMs} ms`,
        {
          cause,
        },
      );
    throw new LastgoodError("runtime.unavailable", await claimed.whyItDied(), { cause });
  }
}

/**
 * The running process of a subject and version where there is one that agrees, else a new one;
 * resolves when it has loaded the version.
 * @throws what the load threw: `artifact.*`, `runtime.unavailable`; `runtime.failed` when no process
 * came up.
 */
export async function claimModelProcess(
  options: ProcessOptions,
  args: ModelArguments,
): Promise<ModelProcess> {
  const claimed = await claimProcess({
    entry: options.modelEntry,
    role: "model",
    self: options.self,
    socket: args.socket,
    build: args.build,
    subject: args.subject,
    digest: args.digest,
    dataDir: options.dataDir,
    config: args,
    logFile: processLog(options.dataDir, args.subject),
    helloTimeoutMs: HELLO_TIMEOUT_MS,
    patienceMs: PATIENCE_MS,
  });
  const { peer } = claimed;
  try {
    const reply = await peer.request("describe", {}, { timeoutMs: LOAD_TIMEOUT_MS });
    return {
      socket: args.socket,
      pid: claimed.pid,
      described: describedSchema.parse(reply.body),
      died: claimed.died,
      run: (inputs, timeoutMs) => run(claimed, inputs, timeoutMs),
      stop: () => claimed.stop(),
    };
  } catch (error) {
    const died = peer.isOpen ? null : await claimed.whyItDied();
    await claimed.stop();
    throw died === null
      ? error
      : new LastgoodError("runtime.failed", `${died} while it loaded the version`, {
          cause: error,
        });
  }
}
