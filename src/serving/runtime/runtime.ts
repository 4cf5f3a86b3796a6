import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

import type { UpstreamProtocol } from "../../core/launcher/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import type { EngineStamp, Signature } from "../../core/version/index.ts";
import type { Inspected, ProcessFacts } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";

/** What was run together; one object for all the requests in it. */
export interface RunFrame {
  /** Rows along axis 0, of all its requests. */
  readonly rows: number;
}

/** Other requests that were in flight beside one. */
export interface Beside {
  /** At its server, when it was sent. */
  readonly atStart: number;
  /** Whether any came there between that and its answer. */
  readonly moreCame: boolean;
  /** At the servers of its endpoint's other revisions, when it was sent. */
  readonly elsewhere: number;
  /** Whether there was none at any of these servers from then until it was answered. */
  readonly alone: boolean;
}

/** Outputs of one request and what they cost. */
export interface InferResult {
  readonly outputs: readonly OutputValue[];
  /** The version's own time for the frame this request was in, ms: dispatch to result. */
  readonly modelMs: number;
  /** Requests that shared the frame. */
  readonly batch: number;
  /** The frame; left out by what runs one row at a time. */
  readonly frame?: RunFrame;
  /** JSON that the version's own server wrote, of MLflow's scoring protocol: its callers get it as it is. */
  readonly scoring?: string;
  /** Left out by what runs one frame at a time. */
  readonly beside?: Beside | undefined;
}

/**
 * The version died (or its connection was lost) with this request in flight. `suspect` says that the
 * request had been handed to it, so that it may be what killed it. `process` tells this process from
 * every other one, whoever saw it die: the nonce of its hello (of a managed server, its shim's).
 */
export class ModelDied extends Error {
  readonly suspect: boolean;
  readonly process: string;
  constructor(suspect: boolean, why: string, process: string) {
    super(why);
    this.name = "ModelDied";
    this.suspect = suspect;
    this.process = process;
  }
}

/**
 * Particulars of a `runtime.unavailable` that says nothing of the version: the gateway itself is
 * letting go of it.
 */
export const UNLOADED = { details: { unloaded: true } } as const;

/**
 * What a connection takes beyond a revision's own limit: probes and second runs are the gateway's
 * requests, and must not fail because callers have filled the queue.
 */
export const OWN_REQUESTS = 16;

/** How MLflow's scoring server is asked: a table of columns, one tensor, or tensors by name. */
export type MlflowForm = "frame" | "tensor" | "named";

/** A model at a server that is asked over HTTP; plain data, so it can cross threads. */
export interface UpstreamAddress {
  /** `http://127.0.0.1:4711`; paths come behind what it has. */
  readonly url: string;
  readonly protocol: UpstreamProtocol;
  /** Name of the model there; `oip` alone needs one. */
  readonly model: string;
  /** Where `mlflow` and `json` are asked, in place of the protocol's own path. */
  readonly path: string | null;
  /** What says 2xx when the model is ready, in place of the protocol's own path. */
  readonly health: string | null;
  /** Whether a request may be sent twice. */
  readonly retries: boolean;
  readonly form: MlflowForm;
  /** What answers are read by where the server does not describe itself. */
  readonly signature: Signature | null;
}

/** Where workers reach a loaded revision; plain data, so it can cross threads. */
export type ModelAddress =
  | {
      readonly kind: "onnx";
      /** Unix sockets, one per replica. */
      readonly sockets: readonly string[];
      /** Whether requests may share a frame. */
      readonly batching: boolean;
      /** Requests taken and not yet answered before more are refused as `overloaded`. */
      readonly queue: number;
    }
  | {
      readonly kind: "remote";
      readonly upstream: UpstreamAddress;
      /** Requests taken and not yet answered before more are refused as `overloaded`. */
      readonly queue: number;
    }
  | {
      readonly kind: "process";
      readonly upstream: UpstreamAddress;
      /** Unix socket of the shim that keeps the server: the end of a connection to it is a death. */
      readonly shim: string;
      /** Requests taken and not yet answered before more are refused as `overloaded`. */
      readonly queue: number;
    }
  | {
      /** A server that speaks something of its own: requests are passed on unread. */
      readonly kind: "passthrough";
      readonly url: string;
      /** Unix socket of the shim that keeps the server; null: it is nobody's here. */
      readonly shim: string | null;
      /** Whether a request may be sent twice. */
      readonly retries: boolean;
      /** Requests taken and not yet answered before more are refused as `overloaded`. */
      readonly queue: number;
    };

/** A worker's connection to one loaded revision. */
export interface ModelClient {
  /**
   * Runs one request. `alone` keeps it out of shared frames.
   * @throws {ModelDied} when the version died; `runtime.failed` with the version's own message when
   * it threw, with `rejected: true` in its details where a remote answered 4xx;
   * `runtime.unavailable` when a remote takes no connection or loses it (`sent` in its details says
   * which), or (with `UNLOADED`) after `close`; `runtime.timeout` past `timeoutMs`; `overloaded` when its queue is full.
   */
  infer(
    inputs: readonly Tensor[],
    options: { readonly timeoutMs: number; readonly alone?: boolean },
  ): Promise<InferResult>;
  /** Requests taken and not yet answered. */
  readonly pending: number;
  /** Ends the connection once nothing is pending. */
  close(): Promise<void>;
}

/** A request that is passed on unread. */
export interface ForwardRequest {
  readonly method: string;
  /** Path and query; the server's own path comes before it. */
  readonly path: string;
  /** Lower-case names, none of them of the connection alone. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer | Readable | null;
  /** Longest wait for the beginning of the answer, and between two parts of it. */
  readonly timeoutMs: number;
}

/** An answer that has begun. */
export interface Forwarded {
  readonly status: number;
  /** `content-length` is that of a whole body. */
  readonly headers: IncomingHttpHeaders;
  /** Whole where it is short; a stream has to be read or destroyed. */
  readonly body: Buffer | Readable;
  /** From when the request was sent to when the answer began, ms. */
  readonly ms: number;
  readonly beside?: Beside | undefined;
}

/** A connection to a server that is given requests as they are. */
export interface ForwardingClient extends ModelClient {
  /**
   * Resolves when the answer begins, or once it is whole where it is short.
   * @throws {ModelDied} when the version died before anything of the request had left; `runtime.failed` for what is no answer, or a short one that broke off;
   * `runtime.unavailable` without a connection (`sent` in its details says whether the request had
   * left) or (with `UNLOADED`) after `close`; `runtime.timeout`
   * past `timeoutMs`; `overloaded` when its queue is full.
   */
  forward(request: ForwardRequest): Promise<Forwarded>;
}

/** What was proven while loading. */
export interface LoadProof {
  /** In words: `digest verified, 3 samples agree`. */
  readonly proof: string;
  /** ms since 1970. */
  readonly provenAt: number;
  readonly engine: EngineStamp | null;
  readonly pid: number | null;
  /** What a managed process takes and is made of; left out by the other runtimes. */
  readonly process?: ProcessFacts;
}

/** A loaded revision, as the gateway's main thread holds it. */
export interface LoadedModel {
  readonly address: ModelAddress;
  readonly proof: LoadProof;
  /** Resolves with why when the version died on its own; never after `unload`. */
  readonly died: Promise<string>;
  /**
   * Runs the golden samples again.
   * @returns the renewed proof, or throws `preflight.rejected` naming the first difference.
   */
  replay(): Promise<LoadProof>;
  /** Ends it; resolves when its process is gone. Nothing may be in flight. */
  unload(): Promise<void>;
}

/** One way of running versions; one conformance suite runs over every implementation. */
export interface Runtime {
  /**
   * Loads a revision (or adopts its running process), verifies its digest and replays its golden
   * samples. `subject` is `endpoint/revision`.
   * @throws `artifact.missing`, `artifact.corrupt`, `artifact.invalid`, `preflight.rejected`,
   * `runtime.failed`.
   */
  load(subject: string, revision: RouteRevision): Promise<LoadedModel>;
  /** Loads a version for a moment to find out its signature and golden outputs. */
  inspect(request: InspectRequest): Promise<Inspected>;
}

/** What `inspect` needs to know; the body of `version.inspect`. */
export interface InspectRequest {
  readonly digest: RouteRevision["digest"];
  readonly runtime: RouteRevision["runtime"];
  readonly files: RouteRevision["files"];
  readonly signature: RouteRevision["signature"] | null;
  /** Sets of inputs; empty: generated from the signature, seeded by the digest. */
  readonly examples: readonly (readonly Tensor[])[];
  /** Nothing but the signature is wanted: a server is asked no generated sample. */
  readonly describeOnly?: boolean | undefined;
}
