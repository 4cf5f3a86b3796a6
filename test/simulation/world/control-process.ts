import { Gateways, type LinkHandlers } from "../../../src/control/link/index.ts";
import { Rollouts } from "../../../src/control/rollouts/index.ts";
import { LastgoodError } from "../../../src/core/errors/index.ts";
import type { PeerIdentity } from "../../../src/link/peer/index.ts";
import type { Store, VersionRecord } from "../../../src/storage/store/index.ts";
import type { Laws } from "./laws.ts";
import { openStore, type Disk, type StoreFaults } from "./memory-store.ts";
import { artifactsOf, MODEL, type Truth } from "./models.ts";
import type { Network } from "./network.ts";
import { Died, Life, type VirtualTime } from "./virtual-time.ts";

/** A gateway that outlived the last control plane dials again within this time, ms. */
const GATEWAY_MS = 1_000;

/** What a control plane runs on. */
export interface ControlSurroundings {
  readonly time: VirtualTime;
  readonly network: Network;
  readonly disk: Disk;
  readonly faults: StoreFaults;
  readonly truths: ReadonlyMap<string, Truth>;
  readonly sabotage: ControlSabotage;
  readonly laws: Laws;
  readonly onAlarm: (code: string, message: string) => void;
}

/** Mechanisms of a control plane that a broken build leaves out. */
export interface ControlSabotage {
  readonly store?: (store: Store, control: ControlProcess) => Store;
  readonly Gateways?: typeof Gateways;
  /** What a gateway did alone is not heard. */
  readonly isDeaf?: boolean;
}

async function select(store: Store, text: string): Promise<VersionRecord> {
  const name = text.slice(text.indexOf("@") + 1);
  const found = /^\d+$/.test(name)
    ? await store.versions.bySequence(MODEL, Number(name))
    : await store.versions.byName(MODEL, name);
  if (found !== null) return found;
  throw new LastgoodError("version.not-found", `${MODEL} has no version ${name}`);
}

/** A control plane process: the real services on simulated time, store and connections. */
export class ControlProcess {
  readonly life: Life;
  readonly rollouts: Rollouts;
  readonly gateways: Gateways;
  readonly #store: Store;
  readonly #laws: Laws;
  readonly #now: () => number;
  readonly #isDeaf: boolean;
  readonly #gatewayKnown = Promise.withResolvers<void>();
  readonly #running = Promise.withResolvers<void>();
  /** Commands are taken. */
  isUp = false;

  constructor(around: ControlSurroundings) {
    const { time, network, disk, faults, truths, sabotage } = around;
    this.life = new Life(time);
    const { life } = this;
    const opened = openStore(disk, { life, time, faults });
    const store = sabotage.store?.(opened, this) ?? opened;
    this.#store = store;
    this.#laws = around.laws;
    this.#now = () => time.now;
    const wire = { listen: network.listenerOf(life), timers: life.timers };
    this.gateways = new (sabotage.Gateways ?? Gateways)({}, wire);
    this.#isDeaf = sabotage.isDeaf === true;
    this.rollouts = new Rollouts({
      store,
      artifacts: artifactsOf(truths, (digest) => around.laws.hashed.set(digest, time.now)),
      gateways: this.gateways,
      signals: {
        collect: () => Promise.resolve({ signals: {}, confirm: () => Promise.resolve() }),
        recentLogLines: () => Promise.resolve([]),
        lastOutput: () => Promise.resolve([]),
        unknownSources: () => [],
      },
      errorInputs: "none",
      clock: time.clock,
      timers: life.timers,
      checkpoint: (reached) => {
        life.step();
        if (reached === "deploy.decided") around.laws.deployDecided();
        const connected = this.gateways.connected().map((each) => each.incarnation);
        if (reached === "switch.published") around.laws.switchPublished(connected);
        if (reached === "switch.drained") around.laws.switchDrained(connected);
      },
      journal: {
        info: () => undefined,
        error: (message, facts) => {
          const code = facts?.["alarm"] ?? facts?.["code"];
          if (life.isAlive) around.onAlarm(typeof code === "string" ? code : "unknown", message);
        },
      },
      resolve: (reference) => select(store, reference),
      select: (_model, selector) => select(store, selector),
      generalChecks: () => Promise.resolve([]),
    });
    life.onEnd(() => {
      this.isUp = false;
      this.#laws.knowsNothingOf(null);
      this.rollouts.stop();
    });
  }

  /** As `app/compose` starts it. A start that fails is the end of the process. */
  async start(): Promise<void> {
    try {
      await this.#store.meta.beginEpoch();
      const self = { role: "control", pid: 1, nonce: "control" } as PeerIdentity;
      await this.gateways.listen("control.sock", self, this.#handlers());
      await this.rollouts.start();
      this.#running.resolve();
      const served = (await this.#store.endpoints.list()).length > 0;
      if (served)
        await Promise.race([this.#gatewayKnown.promise, this.life.timers.pause(GATEWAY_MS)]);
      if (this.life.isAlive) this.isUp = true;
    } catch (error) {
      this.life.end();
      if (!(error instanceof Died) && LastgoodError.from(error).code !== "store.unavailable")
        throw error;
    }
  }

  #handlers(): LinkHandlers {
    const { rollouts } = this;
    const running = this.#running.promise;
    return {
      onConnected: async (status) => {
        await running;
        await rollouts.gatewayConnected(this.#isDeaf ? { ...status, overrides: [] } : status);
        this.#gatewayKnown.resolve();
      },
      onRevisionState: async (state, gateway) => {
        const isBad = state.state === "failed";
        this.#laws.knowsOf({
          gateway,
          digest: state.digest,
          badSince: isBad ? this.#now() : null,
          bySamples: isBad ? state.code === "preflight.rejected" : state.state === "ready",
        });
        await running;
        await rollouts.revisionStateChanged(state);
      },
      onOverride: async (override) => {
        await running;
        if (!this.#isDeaf) await rollouts.overridden(override);
      },
      onEvidence: async (evidence) => {
        await running;
        await rollouts.evidenceArrived(evidence);
      },
      onCounts: (counts) => rollouts.counted(counts),
      onGone: (gateway) => this.#laws.knowsNothingOf(gateway),
      onShutdown: () => undefined,
      onRefused: () => undefined,
    };
  }
}
