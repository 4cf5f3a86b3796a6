import assert from "node:assert";

import type {
  Deployed,
  DeployBody,
  RolledBack,
  RolloutCommand,
} from "../../../src/core/api/index.ts";
import { LastgoodError } from "../../../src/core/errors/index.ts";
import { parseEndpointName } from "../../../src/core/version/index.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { ControlProcess, type ControlSabotage } from "./control-process.ts";
import { POLICIES, type Happening, type PolicyName } from "./happenings.ts";
import { Laws, type Answered } from "./laws.ts";
import { Disk, type StoreFaults } from "./memory-store.ts";
import { keptVersion, MODEL, NAMES, type Truth } from "./models.ts";
import { Network } from "./network.ts";
import {
  GatewayDisk,
  SimulatedGateway,
  type GatewaySabotage,
  type GatewayWatch,
} from "./simulated-gateway.ts";
import { VirtualTime } from "./virtual-time.ts";

export const ENDPOINT = parseEndpointName("fraud-prod");

/** What a broken build leaves out. */
export interface Sabotage {
  readonly control?: ControlSabotage;
  readonly gateway?: GatewaySabotage;
  readonly disk?: (disk: Disk) => void;
}

/** The supervisor starts a process that ended again after so many ms. */
const RESTART_MS = 200;
/** As long as a client repeats a call whose connection was dropped, ms. */
const PATIENT_MS = 60_000;
/** What is tried again by itself is tried within this time, ms. */
const SOON_MS = 35_000;
/** A way back that stays wanted is tried at least every five minutes, ms. */
const WANTED_MS = 310_000;
/** After the last thing that goes wrong everything has to be at rest within this time, ms. */
const REST_MS = 400_000;

type Does<D extends Happening["do"]> = Extract<Happening, { do: D }>;

type Give = (control: ControlProcess, operation: string) => Promise<RolledBack | Deployed | null>;

/** A command as somebody gives it. */
interface Ask {
  readonly what: string;
  readonly give: Give;
  /** The same for each repetition. */
  readonly operation: string;
  /** Until when it is repeated; null while its first answer is waited for. */
  readonly until: number | null;
}

interface Asked {
  readonly what: string;
  readonly by: ControlProcess;
}

/** What happens in a world, and how long after the thing before it. */
export interface Told {
  readonly seed: number;
  readonly gateways: number;
  readonly happenings: readonly { readonly afterMs: number; readonly what: Happening }[];
}

/** How a world is set up. */
export interface WorldOptions {
  readonly seed: number;
  readonly gateways: number;
  readonly sabotage?: Sabotage;
  /** Requests a second at each gateway. */
  readonly rate?: number;
}

/** A whole system on simulated time: a control plane, its store, gateways, people, traffic. */
export class World {
  readonly time = new VirtualTime();
  readonly disk = new Disk();
  readonly laws: Laws;
  readonly truths = new Map<string, Truth>();
  readonly alarms: string[] = [];
  /** What happened, for whoever has to find out why. */
  readonly trace: string[] = [];
  gateways: SimulatedGateway[] = [];
  rate: number;
  readonly #network: Network;
  readonly #random: () => number;
  readonly #faults: StoreFaults = { unavailableUntil: 0, slowMs: 0 };
  readonly #asked = new Set<Asked>();
  readonly #sabotage: Sabotage;
  #control: ControlProcess | null = null;
  #downMs = RESTART_MS;
  #wantedUntil = 0;
  #broken: Error | null = null;
  #asks = 0;

  constructor({ seed, gateways, sabotage = {}, rate = 30 }: WorldOptions) {
    this.#random = seededRandom(seed);
    this.#network = new Network(this.time, this.#random);
    this.#sabotage = sabotage;
    this.rate = rate;
    sabotage.disk?.(this.disk);
    this.laws = new Laws(this.time, this.disk);
    for (const [at, name] of NAMES.entries()) {
      const version = keptVersion(at + 1, name);
      this.disk.versions.push(version);
      this.truths.set(version.record.digest, {
        corrupt: false,
        wrong: false,
        mute: false,
        errorRate: 0.001,
        latencyMs: 10,
      });
    }
    for (let number = 0; number < gateways; number += 1)
      this.gateways.push(this.#gateway(`gateway-${number + 1}`, new GatewayDisk()));
  }

  get control(): ControlProcess | null {
    return this.#control?.isUp === true ? this.#control : null;
  }

  truth(name: string): Truth {
    const digest = this.disk.versions.find(({ record }) => record.name === name)?.record.digest;
    const truth = this.truths.get(digest ?? "");
    if (truth === undefined) throw new Error(`there is no version ${name}`);
    return truth;
  }

  /** Starts everything, and lets it find together. */
  async begin(): Promise<void> {
    this.#startControl();
    for (const gateway of this.gateways) this.#run(gateway.start());
    await this.pass(2_000);
  }

  /** Lets time pass. @throws the first law that is broken. */
  async pass(ms: number): Promise<void> {
    await this.time.pass(ms);
    if (this.#broken !== null) throw this.#broken;
  }

  /** Lives a history through, then lets everything heal. @throws the first law that is broken. */
  async live({ happenings }: Pick<Told, "happenings">): Promise<void> {
    await this.begin();
    for (const { afterMs, what } of happenings) {
      await this.pass(afterMs);
      this.note(JSON.stringify(what));
      this.happens(what);
    }
    await this.heal();
  }

  /** Nothing goes wrong any more: everything comes to rest. */
  async heal(): Promise<void> {
    this.note("everything heals");
    this.#control?.life.endIn(null);
    this.#faults.unavailableUntil = 0;
    this.#faults.slowMs = 0;
    for (const gateway of this.gateways) {
      gateway.disk.fullUntil = 0;
      gateway.probesFailUntil = 0;
    }
    for (const truth of this.truths.values())
      Object.assign(truth, { corrupt: false, wrong: false, mute: false });
    for (const gateway of this.gateways) gateway.revisions.replay();
    const until = this.time.now + REST_MS;
    this.#wantedUntil = this.time.now + WANTED_MS;
    await this.pass(SOON_MS);
    while (!this.#isResting() && this.time.now < until) await this.pass(5_000);
    await this.pass(SOON_MS);
    for (const { what, by } of this.#asked)
      assert.ok(!by.life.isAlive, `whoever asked is answered (${what})`);
    assert.ok(this.#isResting(), "it comes to rest");
    this.laws.atRest(this.gateways);
    await this.pass(0);
  }

  note(what: string): void {
    this.trace.push(`${Math.round(this.time.now)} ${what}`);
  }

  /** One thing happens. */
  happens(what: Happening): void {
    const { time } = this;
    const acts: { readonly [D in Happening["do"]]: (does: Does<D>) => void } = {
      deploy: (does) => this.deploy(does.name, does),
      rollback: (does) => this.rollback(does),
      reinstate: () => this.#reinstate(),
      mark: (does) => this.#mark(does),
      steer: (does) => this.#steer(does.command),
      alone: (does) => this.#alone(does.gateway),
      trip: (does) => this.#trip(this.#at(does)),
      crashControl: ({ steps, downMs }) => {
        this.#downMs = downMs;
        this.#control?.life.endIn(steps);
      },
      crashGateway: (does) => this.#crash(this.#at(does), does.downMs),
      cut: (does) => this.#network.cut(this.#at(does).life),
      stall: (does) => this.#network.stall(this.#at(does).life, does.ms),
      storeFails: ({ ms }) => {
        this.#faults.unavailableUntil = time.now + ms;
      },
      storeSlow: ({ ms }) => {
        this.#faults.slowMs = ms;
      },
      diskFull: (does) => {
        this.#at(does).disk.fullUntil = time.now + does.ms;
      },
      spoil: ({ name, how, is }) => {
        this.truth(name)[how] = is;
        for (const each of this.gateways) each.revisions.replay();
      },
      noProbes: (does) => {
        this.#at(does).probesFailUntil = time.now + does.ms;
      },
      fails: ({ name, errorRate }) => {
        this.truth(name).errorRate = errorRate;
      },
      clock: ({ ms }) => {
        time.wrongBy += ms;
      },
    };
    // Typed entry by entry; its lookup by a runtime key is what TypeScript cannot follow.
    const act = acts[what.do] as (does: Happening) => void;
    act(what);
  }

  #at({ gateway }: { readonly gateway: number }): SimulatedGateway {
    const found = this.gateways[gateway % this.gateways.length];
    if (found === undefined) throw new Error("a world without a gateway");
    return found;
  }

  #reinstate(): void {
    const body = { endpoint: ENDPOINT, rollback: null, dryRun: false, actor: "cem" };
    this.#ask("reinstate", ({ rollouts }, operation) =>
      rollouts.reinstate({ ...body, reason: "it was right" }, operation),
    );
  }

  deploy(name: string, options: DeployOptions): void {
    const body = deployBody(name, options);
    this.#ask(`deploy ${name}`, ({ rollouts }, operation) => rollouts.deploy(body, operation));
  }

  rollback({ to, again, keepStatus }: Omit<Extract<Happening, { do: "rollback" }>, "do">): void {
    if (this.control === null) {
      this.#alone(0);
      return;
    }
    const body = {
      endpoint: ENDPOINT,
      version: to,
      toRevision: null,
      dryRun: false,
      force: false,
      again,
      keepStatus,
      ifCurrent: null,
      trigger: "manual",
      reason: "error rate",
      actor: "ben",
    } as const;
    this.#ask(`rollback ${to ?? ""}`, ({ rollouts }, operation) =>
      rollouts.rollback(body, operation),
    );
  }

  #mark({ name, status }: Extract<Happening, { do: "mark" }>): void {
    const sequence = NAMES.indexOf(name) + 1;
    const body = { status, reason: "says ann", actor: "ann" };
    this.#ask(`mark ${name} ${status}`, async ({ rollouts }, operation) => {
      await rollouts.versionMarked(MODEL, sequence, body, operation);
      return null;
    });
  }

  #steer(command: Extract<Happening, { do: "steer" }>["command"]): void {
    const by = { endpoint: ENDPOINT, actor: "dee", reason: "by hand" };
    const commands: Record<typeof command, RolloutCommand> = {
      promote: { command: "promote", full: false, ...by },
      full: { command: "promote", full: true, ...by },
      pause: { command: "pause", forMs: 5_000, ...by },
      resume: { command: "resume", ...by },
      abort: { command: "abort", ...by },
      weight: { command: "set-weight", weight: 30, ...by },
      pin: { command: "pin", forMs: 20_000, ...by },
      unpin: { command: "unpin", ...by },
    };
    this.#ask(command, async ({ rollouts }, operation) => {
      await rollouts.steer(commands[command], operation);
      return null;
    });
  }

  #ask(what: string, give: Give): void {
    this.#asks += 1;
    this.#give({ what, give, operation: `operation-${this.#asks}`, until: null });
  }

  /** Gives a command to the control plane that is up; where that dies of it, to the one after it. */
  #give(ask: Ask): void {
    const by = this.control;
    if (by === null) return;
    const { what } = ask;
    const asked = { what, by };
    const askedAt = this.time.now;
    this.#asked.add(asked);
    by.life.onEnd(() => {
      if (this.#asked.has(asked))
        this.#giveAgain({ ...ask, until: ask.until ?? askedAt + PATIENT_MS });
    });
    const answered = (async () => {
      const answer = await by.life.given(ask.give(by, ask.operation));
      this.#asked.delete(asked);
      this.note(`${what}: done ${answer !== null && "to" in answer ? answer.to.version : ""}`);
      if (answer !== null) this.#check({ what, askedAt, answer }, by);
    })();
    this.#run(
      answered.catch((error: unknown) => {
        this.#asked.delete(asked);
        if (!(error instanceof LastgoodError)) throw error;
        this.note(`${what}: ${error.code}: ${error.message}`);
        if (error.code === "internal") throw error;
      }),
    );
  }

  /** As the client repeats a call whose connection was dropped. */
  #giveAgain(ask: Ask & { readonly until: number }): void {
    if (this.time.now > ask.until) return;
    if (this.control === null) {
      this.time.after(RESTART_MS, () => this.#giveAgain(ask));
      return;
    }
    this.note(`${ask.what}: once more`);
    this.#give(ask);
  }

  /** A gateway whose connection is gone is gone, as far as a control plane can know. */
  #check(answered: Answered, by: ControlProcess): void {
    const known = new Set(by.gateways.connected().map(({ gateway }) => gateway));
    const connected = this.gateways.filter(({ name }) => known.has(name));
    this.laws.answered(answered, connected);
  }

  #alone(number: number): void {
    const gateway = this.#at({ gateway: number });
    if (gateway.life.isAlive) this.#refusable(gateway.rollBackAlone(ENDPOINT, "eva"));
  }

  #trip(gateway: SimulatedGateway): void {
    const route = gateway.served(ENDPOINT)[0]?.route;
    const candidate = route?.watch?.candidate;
    if (!gateway.life.isAlive || route?.safeguards.breaker !== true) return;
    if (candidate !== undefined) this.#refusable(gateway.trip(ENDPOINT, candidate));
  }

  #refusable(work: Promise<unknown>): void {
    this.#run(
      work.catch((error: unknown) => {
        if (!(error instanceof LastgoodError)) throw error;
        this.note(`alone: ${error.code}: ${error.message}`);
        if (error.code === "internal") throw error;
      }),
    );
  }

  #crash(gateway: SimulatedGateway, downMs: number): void {
    if (!gateway.life.isAlive) return;
    gateway.life.end();
    this.time.after(downMs, () => {
      const again = this.#gateway(gateway.name, gateway.disk);
      this.gateways = this.gateways.map((each) => (each === gateway ? again : each));
      this.#run(again.start());
    });
  }

  #gateway(name: string, disk: GatewayDisk): SimulatedGateway {
    return new SimulatedGateway(name, disk, {
      time: this.time,
      network: this.#network,
      random: this.#random,
      truths: this.truths,
      rate: () => this.rate,
      watch: this.#watch(),
      sabotage: this.#sabotage.gateway ?? {},
    });
  }

  /** The laws as a gateway's onlooker: what is broken is kept, the gateway goes on. */
  #watch(): GatewayWatch {
    const { laws } = this;
    const kept = (look: () => void): void => {
      try {
        look();
      } catch (error) {
        this.#breaks(error);
      }
    };
    return {
      swapped: (...seen) => kept(() => laws.swapped(...seen)),
      unloaded: (...seen) => kept(() => laws.unloaded(...seen)),
      probed: (...seen) => kept(() => laws.probed(...seen)),
      overrode: (...seen) => kept(() => laws.overrode(...seen)),
    };
  }

  #startControl(): void {
    const control = new ControlProcess({
      time: this.time,
      network: this.#network,
      disk: this.disk,
      faults: this.#faults,
      truths: this.truths,
      sabotage: this.#sabotage.control ?? {},
      laws: this.laws,
      onAlarm: (code, message) => {
        this.alarms.push(code);
        this.note(`alarm ${code}: ${message}`);
        if (code === "internal") this.#breaks(new Error(message));
      },
    });
    this.#control = control;
    control.life.onEnd(() => {
      this.note("the control plane dies");
      this.time.after(this.#downMs, () => this.#startControl());
      this.#downMs = RESTART_MS;
    });
    this.#run(control.start());
  }

  #run(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#breaks(error));
  }

  #breaks(error: unknown): void {
    this.#broken ??= error instanceof Error ? error : new Error(String(error));
  }

  /** Nobody waits, and every gateway serves what is stored. */
  #isResting(): boolean {
    if ([...this.#asked].some(({ by }) => by.life.isAlive)) return false;
    const state = this.laws.stored;
    if (this.control === null || state === null) return this.control !== null;
    const { activity } = state;
    if (activity.phase === "Preparing" || activity.phase === "RollingBack") return false;
    // Where every target is barred it stays wanted; there was time enough to find one.
    if (state.wanted !== null && this.time.now < this.#wantedUntil) return false;
    return activity.phase === "Idle" || activity.switching === null;
  }
}

/** How a version is deployed in a simulation. */
export interface DeployOptions {
  readonly policy: PolicyName;
  readonly bakeMs: number;
  readonly force?: boolean;
  readonly replace?: boolean;
}

function deployBody(
  name: string,
  { policy, bakeMs, force = false, replace = false }: DeployOptions,
): DeployBody {
  return {
    reference: `${MODEL}@${name}`,
    endpoint: ENDPOINT,
    environment: "production",
    strategy: null,
    weight: null,
    bakeMs,
    policy: {
      apiVersion: "lastgood/v1",
      kind: "Endpoint",
      name: ENDPOINT,
      model: MODEL,
      ...POLICIES[policy],
    },
    force,
    replace,
    dryRun: false,
    ifCurrent: null,
    reason: null,
    actor: "ann",
  };
}
