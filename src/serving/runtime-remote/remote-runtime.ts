import { LastgoodError } from "../../core/errors/index.ts";
import {
  contractDifferences,
  sampleToWire,
  signatureSchema,
  type GoldenSample,
  type RuntimeSpec,
  type Signature,
} from "../../core/version/index.ts";
import type { Inspected } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import {
  generateSamples,
  OWN_REQUESTS,
  replayGolden,
  type InspectRequest,
  type LoadedModel,
  type LoadProof,
  type Runtime,
} from "../runtime/index.ts";
import type { OipRemote } from "./oip-remote.ts";
import type { RemoteMetadata } from "./oip-wire.ts";
import { openRemote } from "./open-remote.ts";

const TIMEOUT_MS = 30_000;

/** A model server elsewhere, as the server's own configuration names it. */
export interface RemoteSettings {
  readonly url: string;
  readonly protocol: "oip";
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
    const settings = this.#settings(revision.runtime);
    const remote = await openRemote(settings);
    try {
      const proof = await prove(remote, settings, revision);
      const { url, protocol, model, retries } = settings;
      return {
        address: {
          kind: "remote",
          url,
          protocol,
          model,
          retries,
          queue: revision.limits.queue + OWN_REQUESTS,
        },
        proof,
        // Nobody watches a process there: `replay` finds out.
        died: new Promise(() => undefined),
        replay: () => prove(remote, settings, revision),
        unload: () => remote.close(),
      };
    } catch (error) {
      await remote.close();
      throw error;
    }
  }

  async inspect(request: InspectRequest): Promise<Inspected> {
    const settings = this.#settings(request.runtime);
    const remote = await openRemote(settings);
    try {
      await remote.ready(TIMEOUT_MS);
      const metadata = await remote.metadata(TIMEOUT_MS);
      const signature = signatureOf(metadata, request.signature);
      const samples = settings.retries
        ? await recordSamples(remote, signature, request)
        : { golden: [], dropped: [] };
      return {
        signature: signatureSchema.parse(signature),
        golden: samples.golden.map(sampleToWire),
        dropped: samples.dropped,
        batching: { on: false, why: "a remote batches by itself" },
        engine: { name: metadata.platform, version: metadata.version, threads: 0 },
      };
    } finally {
      await remote.close();
    }
  }

  #settings(runtime: RuntimeSpec): RemoteSettings {
    if (runtime.kind !== "remote")
      throw new LastgoodError("internal", `an ${runtime.kind} version came to the remote runtime`);
    const settings = Object.hasOwn(this.#remotes, runtime.remote)
      ? this.#remotes[runtime.remote]
      : undefined;
    if (settings !== undefined) return settings;
    throw new LastgoodError(
      "runtime.unavailable",
      `the server's configuration has no remote "${runtime.remote}"`,
      {
        hint: "add it under remotes: in the file that serve --config names, and restart",
        details: { remotes: Object.keys(this.#remotes) },
      },
    );
  }
}

function signatureOf(metadata: RemoteMetadata, given: Signature | null): Signature {
  const own = metadata.signature ?? given;
  if (own === null)
    throw new LastgoodError(
      "signature.mismatch",
      "the remote does not describe its inputs and outputs",
      {
        hint: "register the version with a signature",
      },
    );
  const differences = given === null ? [] : contractDifferences(own, given);
  if (differences.length === 0) return own;
  throw new LastgoodError(
    "signature.mismatch",
    `the given signature is not the remote's own: ${differences.join("; ")}`,
    { details: { differences }, hint: "leave the signature out: the remote describes it" },
  );
}

async function recordSamples(
  remote: OipRemote,
  signature: Signature,
  request: InspectRequest,
): Promise<{ readonly golden: GoldenSample[]; readonly dropped: string[] }> {
  const golden: GoldenSample[] = [];
  const dropped: string[] = [];
  const given = request.examples.length > 0;
  const samples = given ? request.examples : generateSamples(signature, request.digest);
  for (const [index, inputs] of samples.entries()) {
    try {
      golden.push({ inputs, outputs: (await remote.infer(inputs, TIMEOUT_MS)).outputs });
    } catch (error) {
      const failure = LastgoodError.from(error);
      if (failure.code !== "runtime.failed") throw error;
      dropped.push(
        `${given ? "input example" : "generated sample"} ${index + 1}: ${failure.message}`,
      );
    }
  }
  return { golden, dropped };
}

async function prove(
  remote: OipRemote,
  settings: RemoteSettings,
  revision: RouteRevision,
): Promise<LoadProof> {
  await remote.ready(TIMEOUT_MS);
  const metadata = await remote.metadata(TIMEOUT_MS);
  const differences =
    metadata.signature === null ? [] : contractDifferences(metadata.signature, revision.signature);
  if (differences.length > 0)
    throw new LastgoodError(
      "preflight.rejected",
      `the remote no longer has the registered signature: ${differences.join("; ")}`,
      { details: { differences } },
    );
  const samples = settings.retries
    ? await replayGolden(
        revision.golden,
        async (inputs) => (await remote.infer(inputs, TIMEOUT_MS)).outputs,
      )
    : "no samples sent (retries: false)";
  return {
    proof: `remote, its bytes cannot be verified: ready, reports version ${metadata.version}, ${samples}`,
    provenAt: Date.now(),
    engine: { name: metadata.platform, version: metadata.version, threads: 0 },
    pid: null,
  };
}
