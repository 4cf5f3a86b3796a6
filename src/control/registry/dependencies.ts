import type { z } from "zod";

import type { Clock } from "../../core/time/index.ts";
import type { GATEWAY_REQUESTS, Inspected } from "../../link/message/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import type { Store } from "../../storage/store/index.ts";

/** Asks a gateway to load and run a version. */
export type InspectRequest = z.infer<(typeof GATEWAY_REQUESTS)["version.inspect"]>;

/** Where the registry tells what an operator should know. */
export interface RegistryLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** What the registry is built on. */
export interface RegistryDependencies {
  readonly store: Store;
  readonly artifacts: Artifacts;
  readonly clock: Clock;
  readonly log: RegistryLog;
  /** @throws `gateway.unavailable` when there is none; what the gateway found wrong. */
  readonly inspect: (request: InspectRequest) => Promise<Inspected>;
  /** Endpoints that need the version, in words; empty when it may be archived. */
  readonly neededBy: (model: string, sequence: number) => Promise<readonly string[]>;
}

/** Whose history a model's events go into; no endpoint can have this name. */
export function modelHistory(model: string): string {
  return `model:${model}`;
}
