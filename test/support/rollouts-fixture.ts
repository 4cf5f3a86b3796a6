/** The endpoint service on the registry fixture's store; no gateway is connected. */
import { pino } from "pino";

import { serveApi, type ApiServer } from "../../src/control/api/index.ts";
import { Gateways } from "../../src/control/link/index.ts";
import { Rollouts } from "../../src/control/rollouts/index.ts";
import { systemTimers } from "../../src/link/timer/index.ts";
import { artifacts, registry, store } from "./registry-fixture.ts";

const clock = { now: () => 1_000, monotonic: () => 1_000 };

const noSignals = {
  collect: () => Promise.resolve({ signals: {}, confirm: () => Promise.resolve() }),
  recentLogLines: () => Promise.resolve([]),
  lastOutput: () => Promise.resolve([]),
  unknownSources: () => [],
};

/** Endpoints as a control plane runs them, on what the fixture has stored. */
export function rolloutsOf(): Rollouts {
  return new Rollouts({
    store,
    artifacts,
    gateways: new Gateways({ arriveMs: 0 }),
    signals: noSignals,
    errorInputs: "none",
    clock,
    timers: systemTimers,
    checkpoint: () => undefined,
    journal: { info: () => undefined, error: () => undefined },
    resolve: (reference) => registry.reference(reference),
    select: (model, selector) => registry.version(model, selector),
    generalChecks: () => Promise.resolve([]),
  });
}

/** The API over them, on a free port. */
export function apiOf(endpoints: Rollouts): Promise<ApiServer> {
  const log = pino({ level: "silent" });
  const feedback = { take: () => Promise.reject(new Error("not asked here")) };
  return serveApi(
    {
      registry,
      endpoints,
      garbage: { collect: () => Promise.reject(new Error("not asked here")) },
      feedback,
      artifacts,
      store,
      clock,
      build: "test",
      log,
    },
    { host: "127.0.0.1", port: 0 },
  );
}
