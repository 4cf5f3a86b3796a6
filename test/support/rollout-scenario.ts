/**
 * An endpoint's life in a few words, for tests of the rollout machine:
 * `scenario().stable("v1.0").deploys("v1.1").takesOver().rollsBack().arrives()`.
 * The invariants of src/core/rollout/SPEC.md are checked after every event.
 */
import type { Assessment } from "../../src/core/analysis/index.ts";
import type { Trigger } from "../../src/core/endpoint/index.ts";
import { LastgoodError } from "../../src/core/errors/index.ts";
import type { Policy } from "../../src/core/policy/index.ts";
import {
  leavingRevision,
  contractOf,
  newEndpoint,
  pendingEffects,
  rolloutOf,
  transition,
  type Assessed,
  type Deploy,
  type Effect,
  type EndpointEvent,
  type EndpointState,
  type HistoryRecord,
  type Mark,
  type Outcome,
  type Reinstate,
  type Rollback,
} from "../../src/core/rollout/index.ts";
import {
  chooseTargets,
  type Target,
  type TargetChoice,
  type VersionFacts,
} from "../../src/core/target/index.ts";
import {
  parseEndpointName,
  parseModelName,
  versionLabel,
  type Digest,
} from "../../src/core/version/index.ts";
import { versionOf, POLICY, MEASURED } from "./rollout-facts.ts";
import { checkInvariants, frozen } from "./rollout-invariants.ts";

const HOUR_MS = 3_600_000;

/** What happens to one endpoint, event by event. */
export class Scenario {
  state: EndpointState;
  now = 1_000 * HOUR_MS;
  /** What the evidence of the rollout under way has come to. */
  requests = 0;
  pairs = 0;
  /** What the last event gave. */
  effects: readonly Effect[] = [];
  lastHistory: readonly HistoryRecord[] = [];
  /** Everything that was ever recorded, told and raised. */
  readonly history: HistoryRecord[] = [];
  readonly outcomes = new Map<string, Outcome[]>();
  readonly operations = new Set<string>();
  /** Every command that was given, the refused ones as well. */
  readonly commands: Extract<EndpointEvent, { operation: string }>[] = [];
  /** Operations that have changed something. */
  readonly #changed = new Set<string>();
  readonly alarms: string[] = [];
  /** Digests whose stored bytes do not match, with why. */
  readonly corrupt = new Map<Digest, string>();
  readonly versions: VersionFacts[] = [];
  #counter = 0;

  constructor(environment: "production" | "staging" = "production") {
    this.state = frozen(
      newEndpoint(
        {
          name: parseEndpointName("fraud-prod"),
          model: parseModelName("fraud"),
          environment,
        },
        this.now,
      ),
    );
  }

  /** Registers a version; the same name again changes what is known of it. */
  registers(name: string, facts: Partial<VersionFacts> = {}): this {
    const index = this.versions.findIndex((version) => version.name === name);
    if (index < 0) this.versions.push({ ...versionOf(this.versions.length + 1, name), ...facts });
    else this.versions[index] = { ...this.version(name), ...facts };
    return this;
  }

  version(name: string): VersionFacts {
    const found = this.versions.find((version) => version.name === name);
    if (found !== undefined) return found;
    this.registers(name);
    return this.version(name);
  }

  /** Applies one event and checks every invariant. @throws what the machine refuses. */
  apply(event: EndpointEvent): this {
    const before = this.state;
    const operation = "operation" in event ? event.operation : "";
    const repeats = this.#changed.has(operation) ? { told: this.outcome(operation) ?? null } : null;
    // Whoever repeats it is told once more.
    this.outcomes.delete(operation);
    if ("operation" in event) {
      this.operations.add(event.operation);
      this.commands.push(event);
    }
    try {
      const { state, effects, history } = transition(before, event, this.now);
      this.#record(state, effects, history);
      if (operation !== "" && state !== before) this.#changed.add(operation);
    } catch (error) {
      if ("operation" in event) this.operations.delete(event.operation);
      throw error;
    }
    checkInvariants({
      before,
      event,
      after: this.state,
      now: this.now,
      effects: this.effects,
      history: this.lastHistory,
      operations: this.operations,
      outcomes: this.outcomes,
      repeats,
    });
    return this;
  }

  #record(
    state: EndpointState,
    effects: readonly Effect[],
    history: readonly HistoryRecord[],
  ): void {
    this.state = frozen(state);
    this.effects = effects;
    this.lastHistory = history;
    this.history.push(...history);
    for (const effect of effects) {
      if (effect.do === "alarm") this.alarms.push(effect.code);
      if (effect.do === "settle")
        this.outcomes.set(effect.operation, [
          ...(this.outcomes.get(effect.operation) ?? []),
          effect.outcome,
        ]);
      if (effect.do === "judge") this.#judge(effect);
    }
  }

  #judge(effect: Extract<Effect, { do: "judge" }>): void {
    const index = this.versions.findIndex((version) => version.sequence === effect.sequence);
    const known = this.versions[index];
    if (known !== undefined)
      this.versions[index] = { ...known, status: effect.status, statusReason: effect.reason };
  }

  /** Targets as the control plane would choose them now. */
  choice(): TargetChoice {
    const leaving = leavingRevision(this.state);
    const contract = contractOf(this.state);
    if (leaving === undefined || contract === null) return { targets: [], passedOver: [] };
    return chooseTargets({
      leaving,
      revisions: this.state.revisions,
      versions: this.versions,
      contract,
      proof: (digest) => {
        const why = this.corrupt.get(digest);
        return why === undefined
          ? { holds: true, warm: true, provenAt: this.now }
          : { holds: false, why };
      },
    });
  }

  /** The only target of a command that names a version. */
  named(name: string): TargetChoice {
    const version = this.version(name);
    const revision = this.state.revisions.findLast(
      (each) => each.version.sequence === version.sequence,
    );
    const target: Target = {
      revision: revision?.revision ?? null,
      version,
      warm: true,
      provenAt: this.now,
      why: "named by ann",
    };
    return { targets: [target], passedOver: [] };
  }

  /** A name that nothing else in the scenario has. */
  fresh(kind: string): string {
    this.#counter += 1;
    return `${kind}-${this.#counter}`;
  }

  command(reason: string | null = null): {
    readonly operation: string;
    readonly actor: string;
    readonly reason: string | null;
  } {
    return { operation: this.fresh("op"), actor: "ann", reason };
  }

  deployEvent(name: string, options: Partial<Deploy> = {}): Deploy {
    const { version } = { version: this.version(name) };
    return {
      type: "deploy",
      ...this.command(),
      rolloutId: this.fresh("rollout"),
      version: { model: this.state.identity.model, name, sequence: version.sequence },
      digest: version.digest,
      runtime: version.runtime,
      signature: version.signature,
      policy: POLICY,
      strategy: null,
      weight: null,
      bakeMs: null,
      force: false,
      replace: false,
      barred: version.status === "failed" ? `failed: ${version.statusReason}` : null,
      wayBack: { proven: true },
      ...options,
    };
  }

  rollbackEvent(options: Partial<Rollback> = {}): Rollback {
    return {
      type: "rollback",
      ...this.command("error rate"),
      rollbackId: this.fresh("rollback"),
      trigger: "manual",
      choice: this.choice(),
      named: false,
      again: false,
      keepStatus: false,
      ...options,
    };
  }

  reinstateEvent(options: Partial<Reinstate> = {}): Reinstate {
    const left = this.state.revisions.find(
      (revision) => revision.revision === this.state.lastRollback?.from,
    );
    const name = left === undefined ? null : versionLabel(left.version);
    const [target] = name === null ? [] : this.named(name).targets;
    return {
      type: "reinstate",
      ...this.command("it was right"),
      rollbackId: this.fresh("reinstate"),
      rollback: null,
      target:
        target === undefined || left === undefined
          ? { unproven: "it is unknown" }
          : { ...target, revision: left.revision },
      ...options,
    };
  }

  markEvent(name: string, status: Mark["status"], options: Partial<Mark> = {}): Mark {
    return {
      type: "mark",
      ...this.command("says ann"),
      rollbackId: this.fresh("rollback"),
      sequence: this.version(name).sequence,
      status,
      choice: this.choice(),
      ...options,
    };
  }

  deploys(name: string, options: Partial<Deploy> = {}): this {
    return this.apply(this.deployEvent(name, options));
  }

  rollsBack(options: Partial<Rollback> = {}): this {
    return this.apply(this.rollbackEvent(options));
  }

  aborts(): this {
    return this.apply({
      type: "abort",
      ...this.command("not today"),
      rollbackId: this.fresh("abort"),
      choice: this.choice(),
    });
  }

  reinstates(options: Partial<Reinstate> = {}): this {
    return this.apply(this.reinstateEvent(options));
  }

  marks(name: string, status: Mark["status"]): this {
    return this.apply(this.markEvent(name, status));
  }

  setsWeight(weight: number): this {
    return this.apply({ type: "setWeight", ...this.command(), weight });
  }

  promotes(): this {
    return this.apply({ type: "promote", ...this.command(), full: false });
  }

  pauses(forMs: number | null = null): this {
    return this.apply({ type: "pause", ...this.command("lunch"), forMs });
  }

  applies(policy: Policy): this {
    return this.apply({ type: "applyPolicy", ...this.command("slower"), policy });
  }

  resumes(): this {
    return this.apply({ type: "resume", ...this.command() });
  }

  pins(forMs: number | null = null): this {
    return this.apply({ type: "pin", ...this.command("launch day"), forMs });
  }

  unpins(): this {
    return this.apply({ type: "unpin", ...this.command() });
  }

  /** What the evidence says of the rollout under way, in a few words. */
  assessed(decision: Assessment["decision"], options: Partial<Assessed> = {}): this {
    const rollout = rolloutOf(this.state);
    return this.apply({
      type: "assessed",
      rolloutId: rollout?.id ?? "none",
      rollbackId: this.fresh("rollback"),
      verdict: {
        decision,
        why: `the evidence says ${decision}`,
        blamed: decision === "rollback" ? ["errorRate"] : [],
        source: "ok",
      },
      evidence: decision === "rollback" ? { id: "evidence" } : null,
      trigger: "analysis",
      progress: { candidate: this.requests, pairs: this.pairs },
      seenUntil: this.now,
      choice: this.choice(),
      ...options,
    });
  }

  /** A gateway went from one revision to another on its own: a person told it to, or its breaker. */
  overridden(
    from: number,
    to: number,
    options: {
      id?: string;
      keepStatus?: boolean;
      trigger?: Trigger;
      at?: number;
      key?: string;
    } = {},
  ): this {
    return this.apply({
      type: "overridden",
      id: options.id ?? this.fresh("override"),
      from,
      to,
      at: options.at ?? this.now,
      actor: "ben",
      reason: "it was on fire",
      keepStatus: options.keepStatus ?? false,
      trigger: options.trigger ?? "manual",
      measured: MEASURED,
      ...(options.key === undefined ? {} : { key: options.key }),
    });
  }

  /** Time goes by, then the clock ticks. */
  later(ms: number): this {
    this.now += ms;
    return this.apply({ type: "tick" });
  }

  /** So many requests more were assigned to the candidate. */
  gets(requests: number): this {
    this.requests += requests;
    return this;
  }

  /** Time goes by, and the evidence of it speaks against nothing. */
  goesWell(ms: number): this {
    return this.later(ms).assessed("continue");
  }

  /** What the state waits for succeeds, once. */
  succeeds(): this {
    const [pending] = pendingEffects(this.state);
    if (pending?.do === "prepare")
      return this.apply({ type: "prepared", rolloutId: pending.rolloutId });
    if (pending?.do === "switch")
      return this.apply({ type: "switched", switchId: pending.switchId, measured: MEASURED });
    throw new Error(`nothing is under way in ${this.state.activity.phase}`);
  }

  /** What the state waits for fails, once. */
  fails(
    why: string,
    code: "verification.failed" | "preflight.rejected" = "verification.failed",
    outage: string | null = null,
  ): this {
    const [pending] = pendingEffects(this.state);
    const error = new LastgoodError(code, why);
    if (pending?.do === "prepare")
      return this.apply({ type: "preparationFailed", rolloutId: pending.rolloutId, error });
    if (pending?.do === "switch")
      return this.apply({
        type: "switchFailed",
        switchId: pending.switchId,
        error,
        choice: this.choice(),
        outage,
      });
    throw new Error(`nothing is under way in ${this.state.activity.phase}`);
  }

  /** What the state waits for fails, and what served before fails the same verification. */
  failsWithStable(why: string): this {
    return this.fails(why, "verification.failed", why);
  }

  /** The way back that stays wanted is tried again, as the control plane does when it is time. */
  retries(options: Partial<Extract<EndpointEvent, { type: "retry" }>> = {}): this {
    return this.apply({
      type: "retry",
      wanted: this.state.wanted?.id ?? "none",
      rollbackId: this.fresh("rollback"),
      choice: this.choice(),
      ...options,
    });
  }

  /** Everything that is under way succeeds, until nothing is. */
  settles(): this {
    while (pendingEffects(this.state).some((effect) => effect.do !== "publish")) this.succeeds();
    return this;
  }

  /** A version that was deployed, baked and became stable. */
  stable(name: string, options: Partial<Deploy> = {}): this {
    return this.deploys(name, { bakeMs: 0, ...options }).settles();
  }

  /** A version that carries all traffic and whose bake of an hour has begun. */
  baking(name: string, options: Partial<Deploy> = {}): this {
    return this.deploys(name, { bakeMs: HOUR_MS, ...options }).settles();
  }

  /** A version that carries a share of the traffic. */
  canary(name: string, weight = 10): this {
    return this.deploys(name, { strategy: "canary", weight, bakeMs: HOUR_MS }).settles();
  }

  /** The last thing that the operation was told; the newest operation without a name. */
  outcome(operation = [...this.operations].at(-1) ?? ""): Outcome | undefined {
    return this.outcomes.get(operation)?.at(-1);
  }

  /** Status of each revision by version: `v1.0 stable, v1.1 failed`. */
  get statuses(): string {
    return this.state.revisions
      .map((revision) => `${versionLabel(revision.version)} ${revision.status}`)
      .join(", ");
  }

  /** What serves, for people: `v1.0`. */
  get serving(): string {
    const current = this.state.revisions.find(
      (revision) => revision.revision === this.state.current,
    );
    return current === undefined ? "nothing" : versionLabel(current.version);
  }

  get phase(): EndpointState["activity"]["phase"] {
    return this.state.activity.phase;
  }
}

/** An endpoint that serves nothing yet. */
export function scenario(environment: "production" | "staging" = "production"): Scenario {
  return new Scenario(environment);
}
