import { realpathSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import type { Logger } from "pino";
import * as z from "zod";

import { serveApi, type ApiServer } from "../../control/api/index.ts";
import { generalChecks } from "../../control/doctor/index.ts";
import { GarbageCollector } from "../../control/gc/index.ts";
import { Gateways, type LinkHandlers } from "../../control/link/index.ts";
import { RegistryService } from "../../control/registry/index.ts";
import { Rollouts, type Journal } from "../../control/rollouts/index.ts";
import { Signals } from "../../control/signals/index.ts";
import { DEFAULT_MAX_FILE_BYTES } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { NO_SIGNAL_SOURCES, type SignalSources } from "../../core/policy/index.ts";
import { ERROR_INPUTS } from "../../core/redaction/index.ts";
import { ownIdentity, type PeerIdentity } from "../../link/peer/index.ts";
import { requestIdKey } from "../../link/request-id/index.ts";
import { systemTimers } from "../../link/timer/index.ts";
import { openLocalArtifacts, type Artifacts } from "../../storage/artifacts/index.ts";
import { openSqliteStore, type Store } from "../../storage/store/index.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { systemClock } from "./system-clock.ts";

/** What a control plane is started with: JSON in its process's standard input. */
export const controlConfigSchema = z.object({
  dataDir: z.string().min(1),
  apiHost: z.string().min(1),
  apiPort: z.number().int().min(0).max(65_535),
  /** Folder of the Unix sockets of this data folder. */
  socketFolder: z.string().min(1),
  build: z.string(),
  /** Longest file that a version may have, bytes. */
  maxFileBytes: z.number().int().positive().default(DEFAULT_MAX_FILE_BYTES),
  errorInputs: z.enum(ERROR_INPUTS).default("none"),
  /** What server.yaml names; checked where it was read. */
  signals: z.custom<SignalSources>((value) => typeof value === "object").default(NO_SIGNAL_SOURCES),
});

/** What a control plane is started with. */
export type ControlConfig = z.infer<typeof controlConfigSchema>;

/** What of the process a control plane uses. */
export interface ControlSurroundings {
  readonly log: Logger;
  readonly checkpoint: Checkpoint;
  /** The supervisor asks for an orderly end. */
  readonly onShutdown: () => void;
}

/** A control plane that runs. */
export interface ControlPlane {
  readonly apiHost: string;
  readonly apiPort: number;
  /** Ends it in order: no new requests, then no new decisions, then the store. */
  stop(): Promise<void>;
}

/** Running requests may take this long at a stop, ms; what they began goes on at the next start. */
const GRACE_MS = 1_000;

/** A gateway that outlived the last control plane dials again within this time, ms. */
const GATEWAY_MS = 1_000;

interface Parts {
  readonly store: Store;
  readonly artifacts: Artifacts;
  readonly registry: RegistryService;
  readonly gateways: Gateways;
  readonly rollouts: Rollouts;
  readonly signals: Signals;
  readonly garbage: GarbageCollector;
  readonly self: PeerIdentity;
}

function journalOf(log: Logger): Journal {
  return {
    info: (message, facts) => log.info(facts ?? {}, message),
    error: (message, facts) => log.error(facts ?? {}, message),
  };
}

async function construct(config: ControlConfig, around: ControlSurroundings): Promise<Parts> {
  const { log, checkpoint } = around;
  const dataDir = realpathSync(config.dataDir);
  const storePath = join(dataDir, "store.sqlite");
  const store = await openSqliteStore({
    path: storePath,
    onRebuilt: ({ message, ...facts }) => log.error({ alarm: "store.rebuilt", ...facts }, message),
  });
  if (store.rebuilt !== null) log.error({ alarm: "store.rebuilt" }, store.rebuilt.message);
  const artifacts = await openLocalArtifacts(dataDir);
  const gateways = new Gateways();
  const self = ownIdentity("control", config.build, dataDir);
  const clock = systemClock;
  const signals = new Signals({
    store,
    now: () => clock.now(),
    dataDir,
    sources: config.signals,
    env: process.env,
    requestIdKey: () => requestIdKey(join(dataDir, "keys", "request-id.key")),
    warn: (message, facts) => log.warn(facts ?? {}, message),
  });
  const registry: RegistryService = new RegistryService({
    store,
    artifacts,
    clock,
    log,
    inspect: (request) => gateways.inspect(request),
    neededBy: (model, sequence) => rollouts.neededBy(model, sequence),
  });
  const rollouts: Rollouts = new Rollouts({
    store,
    artifacts,
    gateways,
    signals,
    errorInputs: config.errorInputs,
    clock,
    timers: systemTimers,
    checkpoint,
    journal: journalOf(log),
    resolve: (reference) => registry.reference(reference),
    select: (model, selector) => registry.version(model, selector),
    generalChecks: () => {
      const { socketFolder } = config;
      const revisionStates = gateways.revisionStates();
      const named = revisionStates.map(({ endpoint, revision }) => `${endpoint}/${revision}`);
      const deps = { dataDir, storePath, socketFolder, self, store, artifacts, revisionStates };
      return generalChecks(deps, new Set(named));
    },
  });
  const garbage = new GarbageCollector({
    dataDir,
    clock,
    versionsOf: (digest) => store.versions.byDigest(digest),
    withinReach: (model, sequence) => rollouts.withinReach(model, sequence),
    log,
  });
  return { store, artifacts, registry, gateways, rollouts, signals, garbage, self };
}

interface Milestones {
  /** The stored endpoints are running. */
  readonly running: PromiseWithResolvers<void>;
  /** A gateway is connected and what it told is taken in. */
  readonly gatewayKnown: PromiseWithResolvers<void>;
}

/**
 * A gateway may dial before the stored endpoints are running; what it says then waits until they
 * are, or an endpoint would seem unknown that is only not read yet.
 */
function linkHandlers(
  rollouts: Rollouts,
  milestones: Milestones,
  around: ControlSurroundings,
): LinkHandlers {
  const { log, onShutdown } = around;
  const running = milestones.running.promise;
  return {
    onConnected: async (status) => {
      await running;
      log.info({ gateway: status.gateway, workers: status.workers }, "a gateway is connected");
      await rollouts.gatewayConnected(status);
      milestones.gatewayKnown.resolve();
    },
    onRevisionState: async (state) => {
      await running;
      await rollouts.revisionStateChanged(state);
    },
    onOverride: async (override) => {
      await running;
      await rollouts.overridden(override);
    },
    onEvidence: async (evidence) => {
      await running;
      await rollouts.evidenceArrived(evidence);
    },
    onCounts: async (counts) => {
      await rollouts.counted(counts);
    },
    onGone: (gateway) => log.warn({ gateway }, "a gateway is gone"),
    onShutdown,
    onRefused: (kind, error) => log.error({ kind, code: error.code }, error.message),
  };
}

/**
 * Where something is served already, a command that came before the gateway is back would not see
 * what it has loaded, nor what it did alone. Without a gateway commands are not held up for long.
 */
async function waitForGateway(store: Store, { gatewayKnown }: Milestones): Promise<void> {
  const served = store.rebuilt !== null || (await store.endpoints.list()).length > 0;
  if (served) await Promise.race([gatewayKnown.promise, pause(GATEWAY_MS, null, { ref: false })]);
}

/**
 * Constructs and starts a control plane: a new epoch, the registry repaired, the link, the
 * endpoints with whatever they were doing, the API.
 * @throws `store.unavailable`, `address.in-use`; nothing is left running then.
 */
export async function startControl(
  config: ControlConfig,
  around: ControlSurroundings,
): Promise<ControlPlane> {
  const parts = await construct(config, around);
  const { store, artifacts, registry, gateways, rollouts, signals, garbage, self } = parts;
  let api: ApiServer | null = null;
  const stop = async (): Promise<void> => {
    await api?.close(GRACE_MS);
    rollouts.stop();
    signals.stop();
    await gateways.close();
    await store.close();
  };
  const milestones: Milestones = {
    running: Promise.withResolvers<void>(),
    gatewayKnown: Promise.withResolvers<void>(),
  };
  try {
    await store.meta.beginEpoch();
    await registry.start();
    const socket = join(config.socketFolder, "control.sock");
    await gateways.listen(socket, self, linkHandlers(rollouts, milestones, around));
    signals.start();
    await rollouts.start();
    milestones.running.resolve();
    await waitForGateway(store, milestones);
    const { build, maxFileBytes } = config;
    const { log } = around;
    const deps = {
      registry,
      endpoints: rollouts,
      feedback: signals,
      garbage,
      artifacts,
      store,
      clock: systemClock,
      build,
      maxFileBytes,
      log,
    };
    api = await serveApi(deps, { host: config.apiHost, port: config.apiPort });
  } catch (error) {
    await stop();
    throw LastgoodError.from(error);
  }
  return { apiHost: api.host, apiPort: api.port, stop };
}
