import type { ErrorBody } from "../../core/errors/index.ts";
import type { Count } from "../../link/count/index.ts";
import type { Route } from "../../link/route/index.ts";
import type { EvidenceReport } from "../evidence/index.ts";
import type { ModelAddress } from "../runtime/index.ts";
import type { CrowdRoom } from "./crowd.ts";
import type { WorkerBreach } from "./hard-limits.ts";

/** What a worker thread is started with. */
export interface WorkerSettings {
  readonly worker: number;
  /** How many there are. */
  readonly workers: number;
  readonly gateway: string;
  readonly incarnation: string;
  readonly build: string;
  readonly host: string;
  readonly port: number;
  readonly reusePort: boolean;
  /** Where gRPC is spoken, or null. */
  readonly grpc: {
    readonly host: string;
    readonly port: number;
    readonly reusePort: boolean;
  } | null;
  readonly defaultEndpoint: string | null;
  /** Where what is predicted is logged, while a route asks for it. */
  readonly predictionsFolder: string;
  /** Key of the request ids, hex. */
  readonly requestIdKey: string;
  /** Marks the gateway's own probes; known to no one outside this process. */
  readonly probeToken: string;
}

/** Commands of the main thread that a worker answers with `done` or `failed`. */
export type WorkerCommand =
  /** Dial a loaded revision. Requests for it wait until `open`. */
  | {
      readonly kind: "connect";
      readonly key: string;
      readonly address: ModelAddress;
      /** Where its requests are counted. */
      readonly inFlight: CrowdRoom;
    }
  /** Hang up once nothing is pending, and forget it. */
  | { readonly kind: "disconnect"; readonly key: string }
  /** Replace an endpoint's route. With `holdMs` its requests wait for the next swap, that long. */
  | {
      readonly kind: "swap";
      readonly route: Route;
      readonly interval: number;
      readonly holdMs: number | null;
    }
  /** Begin to accept connections. */
  | { readonly kind: "listen" }
  | { readonly kind: "usage"; readonly endpoint: string; readonly since: number }
  /** Tell all counts and all evidence: nothing will be admitted any more. */
  | { readonly kind: "lastCounts" }
  /** How the requests of these revisions end: a `StrikeReport` for each that it serves. */
  | { readonly kind: "strikes"; readonly keys: readonly string[] }
  /** Accept no more connections. */
  | { readonly kind: "stopListening" }
  /** Finish what is in flight, cut what is left at the deadline. */
  | { readonly kind: "drain"; readonly timeoutMs: number };

/** Messages of the main thread that get no answer. */
export type WorkerNotice =
  /** Suspects are done: requests may go to the revision again. */
  | { readonly kind: "open"; readonly key: string }
  /** Its process has died: its requests wait until it is opened again. */
  | { readonly kind: "away"; readonly key: string }
  /** The revision cannot be run: its requests are answered 503 until it is opened again. */
  | { readonly kind: "unavailable"; readonly key: string; readonly why: string }
  /** A suspect may run, alone. */
  | { readonly kind: "grant"; readonly suspect: number };

/** All that goes from the main thread to a worker. */
export type ToWorker =
  | WorkerNotice
  | { readonly kind: "command"; readonly id: number; readonly command: WorkerCommand };

/** All that goes from a worker to the main thread. */
export type FromWorker =
  | { readonly kind: "done"; readonly id: number; readonly result: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: ErrorBody }
  /** The connection to a revision ended without our doing. */
  | { readonly kind: "lost"; readonly key: string }
  /** A request that was being run when its revision's process died. */
  | { readonly kind: "suspect"; readonly key: string; readonly suspect: number }
  /** Its second run is over; `killer` is its fingerprint where that ended the process again. */
  | {
      readonly kind: "suspectDone";
      readonly key: string;
      readonly suspect: number;
      readonly killer: string | null;
    }
  /** A hard limit was reached here; at most once a second for each revision. */
  | {
      readonly kind: "breach";
      readonly endpoint: string;
      readonly revision: number;
      readonly breach: WorkerBreach;
    }
  /** First request of a protocol to an endpoint. */
  | { readonly kind: "protocol"; readonly endpoint: string; readonly protocol: string }
  | { readonly kind: "counts"; readonly counts: readonly Count[] }
  /** What became of the requests of a rollout under watch. */
  | { readonly kind: "evidence"; readonly report: EvidenceReport }
  /** Predictions that could not be logged. */
  | { readonly kind: "predictionsDropped"; readonly count: number }
  | { readonly kind: "defect"; readonly error: string };

/** A worker's answer to `swap`. Times are CLOCK_MONOTONIC, ms. */
export interface Swapped {
  readonly worker: number;
  readonly swappedAt: number;
  readonly lastOldAdmittedAt: number | null;
  readonly oldInFlight: number;
}

/** A worker's answer to `usage`: what an endpoint's revisions outside the split still do. */
export interface Usage {
  /** In flight per key, for all revisions of the endpoint. */
  readonly inFlight: Readonly<Record<string, number>>;
  /** In flight on revisions outside the split. */
  readonly oldInFlight: number;
  /** Last response of a revision outside the split, since `since`. */
  readonly lastOldResponseAt: number | null;
  /** Requests admitted since `since` that were dropped or got a 5xx of the gateway's own making. */
  readonly failedRequests: number;
}

/** Identifies a loaded revision: the digest is part of it because a rebuilt store may reuse numbers. */
export function revisionKey(endpoint: string, revision: number, digest: string): string {
  return `${endpoint}/${revision}@${digest.slice("sha256:".length, "sha256:".length + 12)}`;
}
