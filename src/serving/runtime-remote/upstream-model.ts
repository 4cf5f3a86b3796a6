import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import {
  contractDifferences,
  sampleFromWire,
  sampleToWire,
  signatureSchema,
  type EngineStamp,
  type GoldenSample,
  type Signature,
} from "../../core/version/index.ts";
import type { Inspected } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import { outputViolation } from "../protocol/index.ts";
import {
  generateSamples,
  replayGolden,
  type InspectRequest,
  type UpstreamAddress,
} from "../runtime/index.ts";
import type { RemoteMetadata } from "./oip-wire.ts";
import { mlflowForms } from "./plain-wire.ts";
import { Upstream, type UpstreamOptions } from "./upstream.ts";

const TIMEOUT_MS = 30_000;

/** A model server and how it is asked, before anything is known of the version it has. */
export type UpstreamSettings = Omit<UpstreamAddress, "form" | "signature">;

/** Opens servers; `name` is what stands for one that says nothing of itself. */
export interface UpstreamContext extends UpstreamOptions {
  readonly name: string;
}

/** A connection to a server and the address that workers reach it by. */
export interface OpenedUpstream {
  readonly upstream: Upstream;
  readonly address: UpstreamAddress;
}

/**
 * A connection by which a version of the signature is asked rightly: MLflow's scoring server wants a
 * table for some models and a tensor for others, and says by refusing what it does not want.
 */
async function openFor(
  settings: UpstreamSettings,
  version: { readonly signature: Signature | null; readonly sample: readonly Tensor[] | undefined },
  options: UpstreamContext,
): Promise<OpenedUpstream> {
  const { signature, sample } = version;
  const forms = signature === null ? (["tensor"] as const) : mlflowForms(signature);
  const opened = (form: UpstreamAddress["form"]): OpenedUpstream => {
    const address = { ...settings, form, signature };
    return { address, upstream: new Upstream(address, options) };
  };
  const [first = "tensor"] = forms;
  if (settings.protocol === "mlflow" && settings.retries && sample !== undefined) {
    for (const form of forms) {
      const tried = opened(form);
      if (await answers(tried.upstream, sample)) return tried;
      await tried.upstream.close();
    }
  }
  return opened(first);
}

async function answers(upstream: Upstream, sample: readonly Tensor[]): Promise<boolean> {
  try {
    await upstream.infer(sample, TIMEOUT_MS);
    return true;
  } catch (error) {
    if (LastgoodError.from(error).code === "runtime.failed") return false;
    throw error;
  }
}

/** Connects to the server of a version that was registered; `prove` says whether it is that one. */
export function openRevision(
  settings: UpstreamSettings,
  revision: Pick<RouteRevision, "signature" | "golden">,
  context: UpstreamContext,
): Promise<OpenedUpstream> {
  const [first] = revision.golden;
  const sample = first === undefined ? undefined : sampleFromWire(first).inputs;
  return openFor(settings, { signature: revision.signature, sample }, context);
}

/**
 * Finds out what the version at a server takes and gives, and records its golden samples where it may
 * be asked twice.
 * @throws `signature.mismatch`; what `Upstream` throws.
 */
export async function inspectUpstream(
  settings: UpstreamSettings,
  request: InspectRequest,
  context: UpstreamContext,
): Promise<Inspected> {
  const { signature, engine } = await describe(settings, request, context);
  const samples =
    settings.retries && request.describeOnly !== true
      ? await recordSamples(settings, { ...request, own: signature }, context)
      : { golden: [], dropped: [] };
  return {
    signature: signatureSchema.parse(signature),
    golden: samples.golden.map(sampleToWire),
    dropped: samples.dropped,
    batching: { on: false, why: "the server batches by itself" },
    engine,
  };
}

async function describe(
  settings: UpstreamSettings,
  request: InspectRequest,
  context: UpstreamContext,
): Promise<{ readonly signature: Signature; readonly engine: EngineStamp }> {
  const version = { signature: request.signature, sample: undefined };
  const { upstream } = await openFor(settings, version, context);
  try {
    await upstream.ready(TIMEOUT_MS);
    const metadata = await upstream.metadata(TIMEOUT_MS);
    return {
      signature: signatureOf(metadata, request.signature),
      engine: engineOf(metadata, context),
    };
  } finally {
    await upstream.close();
  }
}

function engineOf(metadata: RemoteMetadata | null, { name }: UpstreamContext): EngineStamp {
  return {
    name: metadata?.platform ?? name,
    version: metadata?.version ?? "unknown",
    threads: 0,
  };
}

function signatureOf(metadata: RemoteMetadata | null, given: Signature | null): Signature {
  const own = metadata?.signature ?? given;
  if (own === null)
    throw new LastgoodError(
      "signature.mismatch",
      "the server does not describe its inputs and outputs",
      {
        hint: "register the version with a signature: --signature FILE",
      },
    );
  const differences = given === null ? [] : contractDifferences(own, given);
  if (differences.length === 0) return own;
  throw new LastgoodError(
    "signature.mismatch",
    `the given signature is not the server's own: ${differences.join("; ")}`,
    { details: { differences }, hint: "leave the signature out: the server describes it" },
  );
}

/** Every request would fail at a version that answers otherwise, and its samples would agree. */
function keepsSignature(which: string, outputs: readonly Tensor[], signature: Signature): void {
  const broken = outputViolation(outputs, signature, { allowNaN: true });
  if (broken === null) return;
  throw new LastgoodError(
    "signature.mismatch",
    `the server does not answer as its signature says: ${which}: ${broken}`,
    { hint: "correct what the server says of its outputs, or the file of --signature" },
  );
}

/** Why there was no answer at all, and to what. */
function unanswered(failure: LastgoodError, which: string, given: boolean): LastgoodError {
  if (failure.code !== "runtime.timeout") return failure;
  return new LastgoodError(failure.code, `${which}: ${failure.message}`, {
    cause: failure,
    hint: given
      ? "register with an input that it answers in time"
      : "give it an input that it can answer: --input-example FILE",
  });
}

async function recordSamples(
  settings: UpstreamSettings,
  request: InspectRequest & { readonly own: Signature },
  context: UpstreamContext,
): Promise<{ readonly golden: GoldenSample[]; readonly dropped: string[] }> {
  const golden: GoldenSample[] = [];
  const dropped: string[] = [];
  const { own: signature, examples } = request;
  const given = examples.length > 0;
  const samples = given ? examples : generateSamples(signature, request.digest);
  const { upstream } = await openFor(settings, { signature, sample: samples[0] }, context);
  try {
    for (const [index, inputs] of samples.entries()) {
      const which = `${given ? "input example" : "generated sample"} ${index + 1}`;
      try {
        const { outputs } = await upstream.infer(inputs, TIMEOUT_MS);
        keepsSignature(which, outputs, signature);
        golden.push({ inputs, outputs });
      } catch (error) {
        const failure = LastgoodError.from(error);
        if (failure.code !== "runtime.failed") throw unanswered(failure, which, given);
        dropped.push(`${which}: ${failure.message}`);
      }
    }
  } finally {
    await upstream.close();
  }
  return { golden, dropped };
}

/** What a server was seen to do. */
export interface UpstreamProof {
  /** In words: `3 samples agree`. */
  readonly samples: string;
  /** The version it reports; `unknown` where it does not. */
  readonly version: string;
  readonly engine: EngineStamp;
}

/**
 * Whether the server is ready and answers as it did when the version was registered.
 * @throws `preflight.rejected` with what differs; what `Upstream` throws.
 */
export async function proveUpstream(
  { upstream, address }: OpenedUpstream,
  revision: Pick<RouteRevision, "signature" | "golden">,
  context: UpstreamContext,
): Promise<UpstreamProof> {
  await upstream.ready(TIMEOUT_MS);
  const metadata = await upstream.metadata(TIMEOUT_MS);
  const own = metadata?.signature ?? null;
  const differences = own === null ? [] : contractDifferences(own, revision.signature);
  if (differences.length > 0)
    throw new LastgoodError(
      "preflight.rejected",
      `the server no longer has the registered signature: ${differences.join("; ")}`,
      { details: { differences } },
    );
  const samples = address.retries
    ? await replayGolden(
        revision.golden,
        async (inputs) => (await upstream.infer(inputs, TIMEOUT_MS)).outputs,
      )
    : "no samples sent (retries: false)";
  return {
    samples,
    version: metadata?.version ?? "unknown",
    engine: engineOf(metadata, context),
  };
}
