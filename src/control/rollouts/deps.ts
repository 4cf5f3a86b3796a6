import type { ErrorInputs } from "../../core/redaction/index.ts";
import type { EndpointState } from "../../core/rollout/index.ts";
import type { Clock, Timers } from "../../core/time/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import type { ChainEntry } from "../../storage/history/index.ts";
import type { Store, VersionRecord } from "../../storage/store/index.ts";
import type { Gateways } from "../link/index.ts";
import type { Signals } from "../signals/index.ts";

/** Where alarms and notable events are told. */
export interface Journal {
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  error(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** A stored endpoint, as a controller is made from it. */
export interface StoredEndpoint {
  readonly state: EndpointState;
  readonly revisionOfState: number;
  readonly historyHead: string | null;
}

/** Everything endpoints are run with; constructed in one place. */
export interface EndpointDeps {
  readonly store: Store;
  readonly artifacts: Artifacts;
  readonly gateways: Gateways;
  /** Sources of evidence other than the gateways' counts. */
  readonly signals: Pick<Signals, "collect" | "recentLogLines" | "lastOutput" | "unknownSources">;
  /** What is kept of the inputs of requests that a candidate failed. */
  readonly errorInputs: ErrorInputs;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  /** Finds a version by any of its spellings. @throws `version.not-found`, `reference.invalid`. */
  readonly resolve: (reference: string) => Promise<VersionRecord>;
  /** Finds a version of one model by name, sequence number or alias. */
  readonly select: (model: string, selector: string) => Promise<VersionRecord>;
  /** Reached between any two steps; a test may end the process there. */
  readonly checkpoint: (name: string) => void;
  /** Called with each entry right after it was stored. */
  readonly onEntry: (entry: ChainEntry) => void;
  /** Called after a version failed at an endpoint, for the other endpoints that count on it. */
  readonly onVersionFailed: (failed: {
    readonly endpoint: string;
    readonly model: string;
    readonly sequence: number;
    readonly reason: string | null;
  }) => void;
}
