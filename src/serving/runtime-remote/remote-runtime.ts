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
import {
  inspectUpstream,
  openRevision,
  proveUpstream,
  type OpenedUpstream,
  type UpstreamSettings,
} from "./upstream-model.ts";

const CONTEXT = { name: "remote" } as const;

/** A model server elsewhere, as the server's own configuration names it. */
export interface RemoteSettings {
  readonly url: string;
  readonly protocol: UpstreamSettings["protocol"];
  readonly model: string;
  /** Whether a request may be sent twice; golden samples are sent only where it may. */
  readonly retries: boolean;
}

/** Serves versions that live at a remote model server. */
export class RemoteRuntime implements Runtime {
  readonly #remotes: Readonly<Record<string, RemoteSettings>>;

  constructor(remotes: Readonly<Record<string, RemoteSettings>>) {
    this.#remotes = remotes;
  }

  async load(_subject: string, revision: RouteRevision): Promise<LoadedModel> {
    const opened = await openRevision(this.#settings(revision.runtime), revision, CONTEXT);
    try {
      const proof = await prove(opened, revision);
      return {
        address: {
          kind: "remote",
          upstream: opened.address,
          queue: revision.limits.queue + OWN_REQUESTS,
        },
        proof,
        // Nobody watches a process there: `replay` finds out.
        died: new Promise(() => undefined),
        replay: () => prove(opened, revision),
        unload: () => opened.upstream.close(),
      };
    } catch (error) {
      await opened.upstream.close();
      throw error;
    }
  }

  async inspect(request: InspectRequest): Promise<Inspected> {
    return inspectUpstream(this.#settings(request.runtime), request, CONTEXT);
  }

  #settings(runtime: RuntimeSpec): UpstreamSettings {
    const settings = configuredRemote(this.#remotes, runtime);
    return { ...settings, path: null, health: null };
  }
}

async function prove(opened: OpenedUpstream, revision: RouteRevision): Promise<LoadProof> {
  const { samples, version, engine } = await proveUpstream(opened, revision, CONTEXT);
  return {
    proof: `remote, its bytes cannot be verified: ready, reports version ${version}, ${samples}`,
    provenAt: Date.now(),
    engine,
    pid: null,
  };
}
