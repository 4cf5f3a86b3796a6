/**
 * Random lives of the pure machine: commands by several people, late and repeated news, clock jumps,
 * gateways acting alone, crashes between any two effects. The invariants of
 * src/core/rollout/SPEC.md are checked after every event.
 */
import assert from "node:assert";

import fc from "fast-check";

import { LastgoodError } from "../../src/core/errors/index.ts";
import type { Policy } from "../../src/core/policy/index.ts";
import { defaultPolicy } from "../../src/core/policy/index.ts";
import type { Effect } from "../../src/core/rollout/effect.ts";
import { contractOf, leavingRevision, waitingOperations } from "../../src/core/rollout/state.ts";
import { pendingEffects } from "../../src/core/rollout/transition.ts";
import { namedObjection } from "../../src/core/target/index.ts";
import { MEASURED, POLICY, signatureOf } from "../support/rollout-facts.ts";
import { Scenario } from "../support/rollout-scenario.ts";

const NAMES = ["v1.0", "v1.1", "v1.2", "v2.0", "other"] as const;
const name = fc.constantFrom(...NAMES);
const flag = fc.boolean();
const strategy = fc.constantFrom("blueGreen", "recreate", "canary");
const DEFAULTS = {
  blueGreen: defaultPolicy("blueGreen"),
  recreate: defaultPolicy("recreate"),
  canary: defaultPolicy("canary"),
};

const shortly = { requests: 50, timeMs: 1_000 };
const undecided = { action: "rollback", deadlineMs: 60_000 } as const;
const NO_ANSWER = new LastgoodError("verification.failed", "no answer");
/** Policies in which everything that a policy can ask for occurs. */
const POLICIES: readonly Policy[] = [
  POLICY,
  {
    ...POLICY,
    rollout: {
      strategy: "canary",
      steps: [
        { kind: "mirror", percent: 10, until: shortly },
        { kind: "weight", percent: 10, until: shortly },
        { kind: "pause", forMs: 1_000 },
        { kind: "analysis", until: shortly },
        { kind: "weight", percent: 50, until: shortly },
        { kind: "pause", forMs: null },
      ],
    },
    analysis: { ...POLICY.analysis, inconclusive: undecided },
  },
  {
    ...POLICY,
    rollout: {
      strategy: "blueGreen",
      steps: [{ kind: "pause", forMs: null }],
      promotion: "manual",
    },
    analysis: { ...POLICY.analysis, inconclusive: { action: "promote", deadlineMs: 1_000 } },
    rollback: { ...POLICY.rollback, automatic: false },
  },
];

/** One thing that happens. */
const happening = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("deploy" as const),
      name,
      strategy: fc.option(strategy),
      bakeMs: fc.constantFrom(null, 0, 1_000, 60_000),
      policy: fc.constantFrom(...POLICIES),
      byHand: flag,
      force: flag,
      replace: flag,
      proven: flag,
      quantized: flag,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("rollback" as const),
      to: fc.option(name),
      force: flag,
      again: flag,
      keepStatus: flag,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abort" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reinstate" as const), unproven: flag }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("mark" as const),
      name,
      status: fc.constantFrom("stable", "failed", "pending"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("setWeight" as const),
      weight: fc.integer({ min: -1, max: 101 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("promote" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("pause" as const),
      forMs: fc.constantFrom(null, 0, 5_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resume" as const) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant("report" as const),
      ok: fc.constantFrom(true, true, true, false),
      /** What fails is an outage of both. */
      isOutage: fc.constantFrom(false, false, true),
      /** Which of the effects in flight; one that is over is a late or repeated report. */
      which: fc.nat({ max: 20 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("time" as const),
      ms: fc.constantFrom(0, 1, 1_000, 60_000, 3_600_000, 86_400_000, -60_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("override" as const),
      from: fc.integer({ min: 1, max: 6 }),
      to: fc.integer({ min: 1, max: 6 }),
      id: fc.constantFrom("o1", "o2", "o3", "o4"),
      keepStatus: flag,
      trigger: fc.constantFrom("manual", "limit"),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("assess" as const),
      decision: fc.constantFrom("continue", "continue", "hold", "promote", "rollback"),
      requests: fc.constantFrom(0, 50, 5_000),
      isLate: fc.constantFrom(false, false, false, true),
      hasTarget: fc.constantFrom(true, true, true, false),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("pin" as const), forMs: fc.constantFrom(null, 5_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unpin" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("retry" as const), hasTarget: flag, isLate: flag }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("policy" as const), under: strategy }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("repeat" as const), which: fc.nat({ max: 5 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("corrupt" as const), name, broken: flag }),
  },
);

/** One thing that happens in a life. */
export type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;
type Does<D extends Happening["do"]> = Extract<Happening, { do: D }>;

/** An endpoint with the effects that somebody is carrying out for it. */
export class Life {
  readonly of: Scenario;
  /** Everything ever asked for: a report may come for any of it, in any order, more than once. */
  #asked: Effect[] = [];
  refused = 0;

  constructor(environment: "production" | "staging", of = new Scenario(environment)) {
    this.of = of;
    for (const each of NAMES)
      this.of.registers(each, {
        signature: signatureOf(each === "v2.0" ? "FP64" : "FP32"),
        status: each === "other" ? "stable" : "pending",
      });
  }

  happens(what: Happening): void {
    const before = this.of.state;
    try {
      this.#act(what);
      this.#asked.push(
        ...this.of.effects.filter((effect) => "switchId" in effect || effect.do === "prepare"),
      );
    } catch (error) {
      if (!(error instanceof LastgoodError)) throw error;
      this.refused += 1;
      assert.notEqual(error.code, "internal", "a refusal is one of ours");
      assert.equal(this.of.state, before, "I4 a refused command changes nothing");
    }
  }

  #act(what: Happening): void {
    const { of } = this;
    const acts: { readonly [D in Happening["do"]]: (does: Does<D>) => void } = {
      deploy: (does) => this.#deploy(does),
      rollback: (does) => this.#rollback(does),
      reinstate: (does) => of.reinstates(does.unproven ? { target: { unproven: "corrupt" } } : {}),
      abort: () => of.aborts(),
      mark: (does) => of.marks(does.name, does.status),
      setWeight: (does) => of.setsWeight(does.weight),
      promote: () => of.promotes(),
      pause: (does) => of.pauses(does.forMs),
      resume: () => of.resumes(),
      report: (does) => this.#report(does),
      time: (does) => of.later(does.ms),
      override: (does) => of.overridden(does.from, does.to, does),
      assess: (does) => this.#assess(does),
      pin: (does) => of.pins(does.forMs),
      unpin: () => of.unpins(),
      retry: (does) => this.#retry(does),
      policy: (does) => of.applies(DEFAULTS[does.under]),
      crash: () => this.#crash(),
      repeat: (does) => this.#repeat(does.which),
      corrupt: (does) => this.#corrupt(does),
    };
    // Typed entry by entry; its lookup by a runtime key is what TypeScript cannot follow.
    const act = acts[what.do] as (does: Happening) => void;
    act(what);
  }

  #corrupt({ name: version, broken }: Does<"corrupt">): void {
    const { digest } = this.of.version(version);
    if (broken) this.of.corrupt.set(digest, "model.onnx does not match its digest");
    else this.of.corrupt.delete(digest);
  }

  #assess(does: Does<"assess">): void {
    this.of.requests += does.requests;
    this.of.pairs += does.requests;
    this.of.assessed(does.decision, {
      ...(does.isLate ? { rolloutId: "one that is over" } : {}),
      ...(does.hasTarget ? {} : { choice: { targets: [], passedOver: [] } }),
    });
  }

  /** As the controller does: when it is time, or a late one. */
  #retry(does: Does<"retry">): void {
    const { wanted } = this.of.state;
    if (!does.isLate && wanted !== null) this.of.now = Math.max(this.of.now, wanted.nextAt);
    this.of.retries({
      ...(does.isLate ? { wanted: "one that is over" } : {}),
      ...(does.hasTarget ? {} : { choice: { targets: [], passedOver: [] } }),
    });
  }

  #deploy(what: Does<"deploy">): void {
    this.of.deploys(what.name, {
      policy: what.policy,
      weight: what.byHand && what.strategy === "canary" ? 25 : null,
      strategy: what.strategy,
      bakeMs: what.bakeMs,
      force: what.force,
      replace: what.replace,
      wayBack: what.proven ? { proven: true } : { proven: false, why: "it is cold and corrupt" },
      ...(what.quantized ? { runtime: { kind: "onnx", file: "quantized.onnx" } } : {}),
    });
  }

  #rollback({ to, force, again, keepStatus }: Does<"rollback">): void {
    if (to === null) {
      this.of.rollsBack({ again, keepStatus });
      return;
    }
    const choice = this.of.named(to);
    const [target] = choice.targets;
    const leaving = leavingRevision(this.of.state);
    const contract = contractOf(this.of.state);
    if (target === undefined || leaving === undefined || contract === null) return;
    const revision = this.of.state.revisions.find((each) => each.revision === target.revision);
    const objection = namedObjection(
      target.version,
      revision ?? null,
      {
        leaving,
        contract,
        revisions: this.of.state.revisions,
        versions: this.of.versions,
        proof: () => ({ holds: true, warm: true, provenAt: null }),
      },
      { force },
    );
    if (objection === null) this.of.rollsBack({ choice, named: true, again, keepStatus });
  }

  #report({ ok, isOutage, which }: Does<"report">): void {
    const effect = this.#asked.at(-1 - (which % 7 === 0 ? which : 0));
    if (effect?.do === "prepare")
      this.of.apply(
        ok
          ? { type: "prepared", rolloutId: effect.rolloutId }
          : { type: "preparationFailed", rolloutId: effect.rolloutId, error: NO_ANSWER },
      );
    if (effect?.do === "switch")
      this.of.apply(
        ok
          ? { type: "switched", switchId: effect.switchId, measured: MEASURED }
          : {
              type: "switchFailed",
              switchId: effect.switchId,
              error: NO_ANSWER,
              choice: this.of.choice(),
              outage: isOutage ? "no answer either" : null,
            },
      );
  }

  /** A command is given once more, by a person whose answer did not arrive: chosen for anew. */
  #repeat(which: number): void {
    const event = this.of.commands.at(-1 - which);
    if (event === undefined) return;
    if (event.type === "reinstate") {
      this.of.reinstates({ operation: event.operation });
      return;
    }
    const choice = "choice" in event && !("named" in event && event.named);
    this.of.apply({
      ...event,
      ...("rollbackId" in event ? { rollbackId: this.of.fresh("rollback") } : {}),
      ...("rolloutId" in event ? { rolloutId: this.of.fresh("rollout") } : {}),
      ...(choice ? { choice: this.of.choice() } : {}),
    });
  }

  /** What was under way is lost; the stored state alone says what is done again. */
  #crash(): void {
    this.of.state = JSON.parse(JSON.stringify(this.of.state)) as typeof this.of.state;
    this.#asked = [...pendingEffects(this.of.state)].filter((effect) => effect.do !== "publish");
  }

  /** I10: with every switch succeeding, what is under way ends within three of them. */
  comesToRest(): void {
    for (let steps = 0; this.#isUnderWay(); steps += 1) {
      assert.ok(steps < 3, "I10 it comes to rest");
      this.of.succeeds();
    }
    const waiting = waitingOperations(this.of.state.activity);
    assert.deepEqual(waiting, [], "I5 nobody waits any more");
    for (const operation of this.of.operations)
      assert.equal(this.of.outcomes.get(operation)?.length, 1, `I5 ${operation} was told once`);
  }

  #isUnderWay(): boolean {
    return pendingEffects(this.of.state).some((effect) => effect.do !== "publish");
  }
}

/** Lives of endpoints in both environments. */
export const life = fc.tuple(
  fc.constantFrom("production" as const, "staging" as const),
  fc.array(happening, { minLength: 1, maxLength: 60, size: "max" }),
);
