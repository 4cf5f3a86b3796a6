import { LastgoodError } from "../../core/errors/index.ts";
import type { RuntimeSpec } from "../../core/version/index.ts";
import type { Inspected } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import {
  configuredRemote,
  OWN_REQUESTS,
  type InspectRequest,
  type LoadedModel,
  type LoadProof,
  type Runtime,
} from "../runtime/index.ts";

const HEALTH_TIMEOUT_MS = 10_000;

/** What stands for the engine of a server whose answers nobody reads. */
export const UNREAD_ENGINE = { name: "passthrough", version: "unknown", threads: 0 } as const;

/** A server that speaks something of its own, as the server's configuration names it. */
export interface PassThroughSettings {
  readonly url: string;
  /** Path that says 2xx when it is ready; null: any answer below 500 at its root says so. */
  readonly health: string | null;
  /** Whether a request may be sent twice. */
  readonly retries: boolean;
}

/** Serves versions whose requests nobody here reads: they are passed on as they are. */
export class PassThroughRuntime implements Runtime {
  readonly #servers: Readonly<Record<string, PassThroughSettings>>;

  constructor(servers: Readonly<Record<string, PassThroughSettings>>) {
    this.#servers = servers;
  }

  async load(_subject: string, revision: RouteRevision): Promise<LoadedModel> {
    const settings = this.#settings(revision.runtime);
    const proof = await prove(settings);
    const { url, retries } = settings;
    return {
      address: {
        kind: "passthrough",
        url,
        shim: null,
        retries,
        queue: revision.limits.queue + OWN_REQUESTS,
      },
      proof,
      // Nobody watches a process there: `replay` finds out.
      died: new Promise(() => undefined),
      replay: () => prove(settings),
      unload: () => Promise.resolve(),
    };
  }

  async inspect(request: InspectRequest): Promise<Inspected> {
    await prove(this.#settings(request.runtime));
    return inspectedUnread(request);
  }

  #settings(runtime: RuntimeSpec): PassThroughSettings {
    return configuredRemote(this.#servers, runtime, " with protocol: passthrough");
  }
}

/** What is known of a version whose requests nobody reads. @throws `signature.mismatch` when one was given. */
export function inspectedUnread(request: Pick<InspectRequest, "signature">): Inspected {
  if (request.signature !== null)
    throw new LastgoodError(
      "signature.mismatch",
      "the requests of a pass-through server are not read, so nothing can be held to a signature",
      { hint: "register it without one" },
    );
  return {
    signature: { inputs: [], outputs: [] },
    golden: [],
    dropped: [],
    batching: { on: false, why: "requests are passed on as they are" },
    engine: UNREAD_ENGINE,
  };
}

async function prove(settings: PassThroughSettings): Promise<LoadProof> {
  const answered = await readyAnswer(settings);
  return {
    proof: `passed through, its bytes cannot be verified and nothing is read: ${answered}`,
    provenAt: Date.now(),
    engine: UNREAD_ENGINE,
    pid: null,
  };
}

/**
 * What the server says to being asked whether it is ready, in words.
 * @throws `runtime.failed` when that is no yes, `runtime.unavailable` when it says nothing.
 */
export async function readyAnswer({
  url,
  health,
}: Pick<PassThroughSettings, "url" | "health">): Promise<string> {
  const address = url.replace(/\/+$/, "") + (health ?? "/");
  const status = await statusOf(address);
  const isReady = health === null ? status < 500 : status >= 200 && status < 300;
  if (!isReady) throw new LastgoodError("runtime.failed", `${address} answered ${status}`);
  return `${address} answered ${status}`;
}

async function statusOf(address: string): Promise<number> {
  try {
    const response = await fetch(address, {
      redirect: "manual",
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.status;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("runtime.unavailable", `${address} cannot be reached: ${why}`, {
      cause,
      hint: "check the remote's url in the server's configuration",
    });
  }
}
