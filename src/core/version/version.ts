import type { GoldenSample } from "./golden.ts";
import type { Digest, ModelName, VersionName } from "./name.ts";
import type { ReferenceSet } from "./reference-set.ts";
import type { Signature } from "./signature.ts";

/** A summary; the latest verdict wins. */
export type VersionStatus = "pending" | "stable" | "failed" | "archived";

/** One stored file of a version. */
export interface ArtefactFile {
  /** Path inside the version, `/` between folders. */
  readonly path: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Which runtime serves a version. */
export type RuntimeSpec =
  | {
      readonly kind: "onnx";
      /** Path of the model among the version's files. */ readonly file: string;
      /** Path of the graph whose outputs are the model's inputs. */
      readonly preprocess?: string | undefined;
      /** Path of the graph whose inputs are the model's outputs. */
      readonly postprocess?: string | undefined;
    }
  | {
      readonly kind: "remote";
      /** Name in the server's own configuration. */ readonly remote: string;
    }
  | {
      readonly kind: "process";
      /** Name in the server's own configuration: what starts a server on the version's folder. */
      readonly launcher: string;
    };

/** The runtime for people: `onnx`, `remote tf-1`, `process mlflow`. */
export function describeRuntime(runtime: RuntimeSpec): string {
  if (runtime.kind === "onnx") return "onnx";
  return runtime.kind === "remote" ? `remote ${runtime.remote}` : `process ${runtime.launcher}`;
}

/** One step of a version's pipeline. */
export interface PipelineStep {
  readonly step: "preprocess" | "predict" | "postprocess";
  /** Path among the version's files. */
  readonly file: string;
}

/** The steps of an ONNX version in the order they run; one where it is no pipeline. */
export function pipelineSteps(
  runtime: Extract<RuntimeSpec, { readonly kind: "onnx" }>,
): readonly PipelineStep[] {
  const { preprocess, file, postprocess } = runtime;
  return [
    ...(preprocess === undefined ? [] : [{ step: "preprocess" as const, file: preprocess }]),
    { step: "predict", file },
    ...(postprocess === undefined ? [] : [{ step: "postprocess" as const, file: postprocess }]),
  ];
}

/** Whether requests may share a frame, and if not, why. */
export type Batching = { readonly on: true } | { readonly on: false; readonly why: string };

/** Engine that recorded the golden outputs. */
export interface EngineStamp {
  /** `onnxruntime-node`, `onnxruntime-web` or the remote's own name. */
  readonly name: string;
  readonly version: string;
  readonly threads: number;
}

/** What never changes about a version after it was registered. */
export interface VersionManifest {
  readonly model: ModelName;
  readonly name: VersionName | null;
  /** 1, 2, 3…, assigned when registered. */
  readonly sequence: number;
  readonly runtime: RuntimeSpec;
  readonly files: readonly ArtefactFile[];
  readonly signature: Signature;
  readonly batching: Batching;
  readonly engine: EngineStamp;
  readonly golden: readonly GoldenSample[];
  readonly inputExample: unknown;
  /** What its inputs are expected to look like; null where none was given. */
  readonly reference: ReferenceSet | null;
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, string>>;
  readonly lineage: Readonly<Record<string, string>>;
  /** ms since 1970. */
  readonly registeredAt: number;
  readonly registeredBy: string;
}

/** A version as the registry knows it: the manifest and what may change beside it. */
export interface ModelVersion extends VersionManifest {
  /** Of the files alone (paths and digests) and the runtime: equal bytes, equal digest. */
  readonly digest: Digest;
  readonly status: VersionStatus;
  readonly statusReason: string | null;
  readonly statusAt: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
}

/** `v1.1`, or `#3` for a version without a name. */
export function versionLabel(version: {
  readonly name: string | null;
  readonly sequence: number;
}): string {
  return version.name ?? `#${version.sequence}`;
}
