/** An endpoint of a gateway, on simulated workers and a simulated disk. */
import { parseEndpointName } from "../../src/core/version/index.ts";
import type { RollbackRequest } from "../../src/link/message/index.ts";
import type { Route } from "../../src/link/route/index.ts";
import { systemTimers } from "../../src/link/timer/index.ts";
import { systemClock } from "../../src/serving/gateway/clock.ts";
import { EndpointSwitch, type SwitchParts } from "../../src/serving/gateway/endpoint-switch.ts";
import { rollBack, type RollbackOptions } from "../../src/serving/gateway/rollback.ts";
import type { RouteRecord } from "../../src/serving/gateway/route-file.ts";
import { armsBy, plainRoute, routeRevision } from "./route-facts.ts";

/** Serves revision 3; a rollback goes to 2, then to 1. */
export function threeRevisions(sequence: number, more: Partial<Route> = {}): Route {
  return plainRoute({
    order: { generation: 0, epoch: 0, sequence },
    split: { salt: "s", arms: armsBy({ 3: 100 }) },
    revisions: [1, 2, 3].map((number) => routeRevision(number)),
    targets: [2, 1].map((number) => ({
      revision: number,
      version: `#${number}`,
      digest: routeRevision(number).digest,
      provenAt: 0,
      why: "stable",
    })),
    ...more,
  });
}

type Probe = SwitchParts["probe"];
/** A probe that was answered, and one that was not. */
export const answered = { ok: true, probes: [] };
export const silent = { ok: false, probes: [] };

/** An endpoint on a worker that does what it is told; its disk holds what a gateway before it left. */
export function switchedEndpoint(
  probe: Probe,
  disk: RouteRecord | null = null,
): {
  endpoint: EndpointSwitch;
  written: RouteRecord[];
  readonly serves: () => number[];
} {
  const written: RouteRecord[] = [];
  let serving: Route | null = null;
  const usage = { inFlight: {}, oldInFlight: 0, lastOldResponseAt: null, failedRequests: 0 };
  const endpoint = new EndpointSwitch(
    parseEndpointName("iris-prod"),
    {
      read: () => Promise.resolve(disk),
      write: (record) => {
        written.push(record);
        return Promise.resolve();
      },
    },
    {
      loaded: {
        begin: () => Promise.resolve(),
        ensure: () => Promise.resolve(),
        keysOf: () => [],
        drop: () => Promise.resolve(),
        get: () => ({ isProven: true, state: { why: null } }) as never,
      },
      workers: {
        listening: () => [0],
        all: (command) => {
          if (command.kind !== "swap") return Promise.resolve([usage]);
          serving = command.route;
          const swapped = { worker: 0, swappedAt: systemClock.monotonic(), oldInFlight: 0 };
          return Promise.resolve([{ ...swapped, lastOldAdmittedAt: null }]);
        },
      },
      log: () => undefined,
      clock: systemClock,
      timers: systemTimers,
      onInterval: () => undefined,
      probe,
    },
  );
  return { endpoint, written, serves: () => serving?.split.arms.map((arm) => arm.revision) ?? [] };
}

/** The gateway alone is told to go back. */
export function goBack(
  endpoint: EndpointSwitch,
  told: string[] = [],
  asked: Partial<RollbackRequest> = {},
  more: Partial<RollbackOptions> = {},
): ReturnType<typeof rollBack> {
  const command = {
    endpoint: "iris-prod",
    version: null,
    ifCurrent: null,
    actor: "eva",
    reason: null,
    keepStatus: false,
    again: false,
    dryRun: false,
    ...asked,
  };
  const options = {
    startedAt: systemClock.monotonic(),
    clock: systemClock,
    onOverride: ({ id }: { readonly id: string }) => told.push(id),
    ...more,
  };
  return rollBack(endpoint, command, options);
}
