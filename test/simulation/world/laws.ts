/** The seven laws as predicates over what happens in a simulated world. */
import assert from "node:assert";

import { planIn, IntervalReader } from "../../../src/control/rollouts/evidence-record.ts";
import { recompute, replay, type AssessmentContext } from "../../../src/core/analysis/index.ts";
import type { Deployed, RolledBack } from "../../../src/core/api/index.ts";
import {
  armsOf,
  revisionOf,
  rolloutOf,
  type EndpointState,
} from "../../../src/core/rollout/index.ts";
import { waitingOperations } from "../../../src/core/rollout/state.ts";
import type { Override } from "../../../src/link/override/index.ts";
import { compareOrder, type Route, type RouteOrder } from "../../../src/link/route/index.ts";
import { verifyChain, type ChainEntry } from "../../../src/storage/history/index.ts";
import type { EndpointSave } from "../../../src/storage/store/store.ts";
import type { Disk } from "./memory-store.ts";
import type { GatewayWatch, SimulatedGateway } from "./simulated-gateway.ts";
import { keyOf } from "./simulated-revisions.ts";
import type { Served } from "./simulated-workers.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a command was answered with, and when it was given. */
export interface Answered {
  readonly what: string;
  readonly askedAt: number;
  readonly answer: RolledBack | Deployed;
}

interface Overrode {
  readonly override: Override;
  readonly by: SimulatedGateway;
}

/** A cold proof that a route or a way back hangs on may be this old, ms; slow stores add to it. */
const PROOF_AGE_MS = 300_000;
/** What was known for so long was known when it was decided, ms. */
const KNOWN_MS = 5_000;

function appliedIn({ applied = [] }: EndpointState): readonly string[] {
  return applied.map(({ operation }) => operation);
}

function armsText(arms: readonly { readonly revision: number; readonly weight: number }[]): string {
  return arms
    .filter(({ weight }) => weight > 0)
    .map(({ revision, weight }) => `${revision}:${weight}`)
    .toSorted()
    .join(" ");
}

/** Since when each revision of a route is ready at the gateway; those that are not are left out. */
function readySince(
  { revisions }: SimulatedGateway,
  { endpoint, revisions: described }: Route,
): ReadonlyMap<number, number> {
  const since = new Map<number, number>();
  for (const each of described) {
    const ready = revisions.readySince(keyOf(endpoint, each));
    if (ready !== null) since.set(each.revision, ready);
  }
  return since;
}

/** Watches a world, and says which law was broken first. */
export class Laws implements GatewayWatch {
  readonly #time: VirtualTime;
  readonly #disk: Disk;
  readonly #orders = new Map<SimulatedGateway, RouteOrder>();
  readonly #probes = new Map<SimulatedGateway, Map<number, number>>();
  readonly #takenOver = new Map<SimulatedGateway, { readonly arms: string; readonly at: number }>();
  /** Since when the revisions that traffic was moved to were ready as it was moved, by gateway and revision. */
  readonly #readyThen = new Map<SimulatedGateway, ReadonlyMap<number, number>>();
  readonly #overrides: Overrode[] = [];
  readonly #toldHeads = new Set<string>();
  /** Incarnations of the gateways that were connected when what the newest switch left was drained. */
  #drainedWith: readonly string[] = [];
  /** Incarnations of the gateways that had the newest switch's route and are asked whether it is there, and since when. */
  #asked: { readonly incarnations: ReadonlySet<string>; readonly at: number } | null = null;
  /** When files were last hashed and found right, by digest. */
  readonly hashed = new Map<string, number>();
  /** What the control plane knows not to hold: since when, by gateway and digest. */
  readonly #bad = new Map<string, Map<string, number>>();
  /** Since when samples are known to disagree, by digest: it outlives the gateway that found it. */
  readonly #disagree = new Map<string, number>();
  #before: EndpointState | null = null;
  /** Commands that have changed something. */
  readonly #begun = new Set<string>();
  /** When a deploy was last decided upon; what a slow store takes long after was. */
  #deployDecidedAt = 0;

  constructor(time: VirtualTime, disk: Disk) {
    this.#time = time;
    this.#disk = disk;
    disk.onCommit = (save, entries) => this.#committed(save, entries);
  }

  /** The endpoint as it is stored, or null while there is none. */
  get stored(): EndpointState | null {
    const kept = [...this.#disk.endpoints.values()][0];
    return kept === undefined ? null : (JSON.parse(kept.state) as EndpointState);
  }

  /** The control plane was told by a gateway how a version fares there. */
  knowsOf(told: {
    readonly gateway: string;
    readonly digest: string;
    readonly badSince: number | null;
    /** Its samples disagree, or agree. */
    readonly bySamples: boolean;
  }): void {
    if (told.badSince === null && told.bySamples) this.#disagree.delete(told.digest);
    else if (told.badSince !== null && told.bySamples && !this.#disagree.has(told.digest))
      this.#disagree.set(told.digest, told.badSince);
    const bad = this.#bad.get(told.gateway) ?? new Map<string, number>();
    this.#bad.set(told.gateway, bad);
    if (told.badSince === null) bad.delete(told.digest);
    else bad.set(told.digest, told.badSince);
  }

  /** With a gateway goes what was known from it; null: with the control plane all of it. */
  knowsNothingOf(gateway: string | null): void {
    if (gateway === null) this.#bad.clear();
    else this.#bad.delete(gateway);
  }

  /** The control plane decided upon a deploy, which is not stored yet. */
  deployDecided(): void {
    this.#deployDecidedAt = this.#time.now;
  }

  /** A switch's route is everywhere; the gateways that are connected are asked whether it answers. */
  switchPublished(incarnations: readonly string[]): void {
    this.#asked = { incarnations: new Set(incarnations), at: this.#time.now };
  }

  /** Nothing is in flight on what the switch left; these gateways are connected by now. */
  switchDrained(incarnations: readonly string[]): void {
    this.#drainedWith = incarnations;
  }

  swapped(gateway: SimulatedGateway, worker: number, served: Served): void {
    const { route, holdMs } = served;
    const last = this.#orders.get(gateway);
    if (last !== undefined)
      assert.ok(compareOrder(route.order, last) >= 0, "law 7: an older route is never taken");
    this.#orders.set(gateway, route.order);
    this.#overridesStand(gateway, route);
    const arms = armsText(route.split.arms);
    // After a hold that led nowhere, requests go on waiting for what is loaded again.
    const isSame =
      last !== undefined &&
      compareOrder(route.order, last) === 0 &&
      this.#takenOver.get(gateway)?.arms === arms;
    if (this.#takenOver.get(gateway)?.arms !== arms) {
      this.#takenOver.set(gateway, { arms, at: this.#time.now });
      this.#readyThen.set(gateway, readySince(gateway, route));
    }
    // What comes back after a hold was loaded anew.
    if (holdMs !== null) this.#readyThen.delete(gateway);
    const sum = route.split.arms.reduce((total, { weight }) => total + weight, 0);
    assert.ok(sum === 100 || route.split.arms.length === 0, "law 5: every request has a revision");
    const { resumedWith } = gateway;
    const isResumed = resumedWith !== null && compareOrder(route.order, resumedWith) === 0;
    const waits = holdMs !== null || route.hold !== null;
    if (!waits && !isResumed && !isSame) this.#isLoaded(gateway, worker, route);
  }

  unloaded(gateway: SimulatedGateway, key: string): void {
    for (const { route, holdMs } of gateway.served(key.slice(0, key.indexOf("/")))) {
      if (holdMs !== null || route.hold !== null) continue;
      const isArm = route.split.arms.some(({ revision, weight }) => {
        const described = route.revisions.find((each) => each.revision === revision);
        return weight > 0 && described !== undefined && keyOf(route.endpoint, described) === key;
      });
      assert.ok(!isArm, `law 5: what gets traffic is not unloaded (${key})`);
    }
  }

  probed(gateway: SimulatedGateway, revision: number, ok: boolean): void {
    const probes = this.#probes.get(gateway) ?? new Map<number, number>();
    this.#probes.set(gateway, probes);
    // That somebody else's probe is not answered later takes nothing back.
    if (ok) probes.set(revision, this.#time.now);
  }

  overrode(by: SimulatedGateway, override: Override): void {
    this.#overrides.push({ override, by });
  }

  /** A command was answered: what it says is so. */
  answered(told: Answered, gateways: readonly SimulatedGateway[]): void {
    const { answer } = told;
    if (!("via" in answer)) return;
    if (answer.historyHead !== null) this.#toldHeads.add(answer.historyHead);
    if (answer.dryRun || answer.already || answer.via !== "api") return;
    assert.equal(answer.verified, true, "law 3: done is verified");
    const state = this.stored;
    assert.ok(
      state !== null && revisionOf(state, answer.to.revision) !== undefined,
      "law 4: what was gone to is known",
    );
    if (state.activity.phase !== "Idle" || state.lastRollback?.at !== answer.at) return;
    assert.ok(
      this.#drainedWith.every((incarnation) => this.#asked?.incarnations.has(incarnation) === true),
      `law 3: a gateway that came while requests drained was asked as well (${told.what})`,
    );
    for (const gateway of gateways) {
      // What came after the traffic was moved gets its route by itself.
      if (!gateway.life.isAlive || !this.#wasAsked(gateway)) continue;
      const record = gateway.endpoint(state.identity.name).record;
      if (record === null || record.overrides.length > 0) continue;
      this.#isThere(gateway, { ...told, answer, state, route: record.route });
    }
  }

  /** Whether it was connected when the newest switch was verified, and has been since. */
  #wasAsked({ incarnation, introducedAt }: SimulatedGateway): boolean {
    const asked = this.#asked;
    return asked !== null && asked.incarnations.has(incarnation) && introducedAt < asked.at;
  }

  /** Laws 1, 3 and 5: a rollback that was reported done is done at this gateway. */
  #isThere(
    gateway: SimulatedGateway,
    told: Answered & {
      readonly answer: RolledBack;
      readonly state: EndpointState;
      readonly route: Route;
    },
  ): void {
    const { answer, state, what } = told;
    const arms = armsOf(state);
    const expected = armsText(arms);
    const after = `${what}, answered at ${Math.round(this.#time.now)}`;
    for (const { route } of gateway.served(state.identity.name))
      assert.equal(armsText(route.split.arms), expected, `law 3: every worker has it (${after})`);
    const left = revisionOf(state, answer.from.revision);
    const isFailed = left?.status === "failed";
    assert.ok(
      !isFailed || !arms.some(({ revision }) => revision === left.revision),
      "law 5: what failed has no traffic",
    );
    const probedAt = this.#probes.get(gateway)?.get(answer.to.revision ?? 0) ?? -1;
    const since = this.#takenOver.get(gateway)?.at ?? 0;
    assert.ok(probedAt >= since, `law 3: the target answered at ${gateway.name} (${after})`);
    this.#durable(gateway, answer, expected);
    this.#warm(gateway, told);
  }

  /** Nothing is wrong any more and time has passed: the system is at rest, and nothing was lost. */
  atRest(gateways: readonly SimulatedGateway[]): void {
    const state = this.stored;
    this.#historyIsWhole();
    if (state === null) return;
    const expected = armsText(armsOf(state));
    for (const gateway of gateways) {
      const record = gateway.endpoint(state.identity.name).record;
      if (record === null) {
        assert.equal(expected, "", `law 7: ${gateway.name} serves what is stored`);
        continue;
      }
      assert.deepEqual(record.overrides, [], "law 7: what happened alone was taken in");
      for (const { route, holdMs } of gateway.served(state.identity.name)) {
        assert.equal(
          armsText(route.split.arms),
          expected,
          `law 7: ${gateway.name} serves what is stored (${JSON.stringify(state.activity.phase)})`,
        );
        assert.equal(holdMs, null, "law 5: no request is held for ever");
      }
      this.#isKeptWarm(gateway, record.route, state);
      // A rollout that a person takes on meanwhile is theirs to end.
      assert.ok(
        state.wanted === null ||
          state.activity.phase !== "Idle" ||
          record.route.targets.length === 0,
        "law 1: what is wanted back is back as soon as a target can be verified",
      );
    }
    this.#overridesAreHistory(gateways);
    this.#verdictsAreReproduced();
  }

  #isLoaded(gateway: SimulatedGateway, worker: number, route: Route): void {
    for (const { revision } of route.split.arms) {
      const described = route.revisions.find((each) => each.revision === revision);
      const state = described && gateway.revisions.stateOf(keyOf(route.endpoint, described));
      assert.ok(
        state === "ready" || state === "failed",
        `law 5: what gets traffic is loaded (revision ${revision} is ${state} at worker ${worker})`,
      );
    }
  }

  #overridesStand(gateway: SimulatedGateway, route: Route): void {
    for (const { override, by } of this.#overrides) {
      if (by !== gateway || compareOrder(route.order, override.over) <= 0) continue;
      assert.ok(
        route.acknowledges.includes(override.id) || this.#isAcknowledged(override.id),
        `law 7: override ${override.from} to ${override.to} wins until it is taken in`,
      );
    }
  }

  #isAcknowledged(id: string): boolean {
    return this.#disk.witnessed.some((entry) => entry.data["rollback"] === id);
  }

  #durable(gateway: SimulatedGateway, answer: RolledBack, expected: string): void {
    if (answer.durable !== true) return;
    const text = gateway.disk.records.get(answer.endpoint);
    const route = text === undefined ? null : (JSON.parse(text) as { route: Route }).route;
    assert.equal(
      armsText(route?.split.arms ?? []),
      expected,
      `law 3: ${gateway.name} has it on disk, as it says`,
    );
  }

  #warm(
    gateway: SimulatedGateway,
    told: { readonly answer: RolledBack; readonly askedAt: number; readonly route: Route },
  ): void {
    const { answer, askedAt, route } = told;
    // One that came since begins with what it is told to serve.
    if (!answer.warm || gateway.startedAt > askedAt) return;
    const to = answer.to.revision ?? 0;
    // Its samples may have failed and agreed again since.
    const since = this.#readyThen.get(gateway)?.get(to) ?? readySince(gateway, route).get(to);
    assert.ok(
      since !== undefined && since <= askedAt + (answer.switchMs ?? 0),
      `law 1: what is called warm was loaded before (at ${gateway.name})`,
    );
  }

  /** Law 1: what a rollback would go to is loaded beside what serves. */
  #isKeptWarm(gateway: SimulatedGateway, route: Route, state: EndpointState): void {
    const strategy = (rolloutOf(state) ?? state.lastRollout?.rollout)?.strategy;
    const target = route.targets[0];
    const digest = target?.digest ?? "";
    if (strategy === "recreate" || target === undefined || target.revision === null) return;
    const loaded = route.revisions.find((each) => each.revision === target.revision);
    assert.ok(loaded !== undefined, `law 1: ${target.version} is kept loaded at ${gateway.name}`);
    const revision = revisionOf(state, target.revision);
    assert.equal(revision?.digest, digest, "law 2: the target is what it is called");
    const kept = gateway.revisions.stateOf(keyOf(route.endpoint, loaded));
    assert.ok(kept !== null, `law 1: ${target.version} is loaded at ${gateway.name}`);
  }

  #committed(save: EndpointSave, entries: readonly ChainEntry[]): void {
    const state = save.state as EndpointState;
    const before = this.#before;
    this.#before = state;
    if (before === null) return;
    assert.ok(
      state.revisions.length >= before.revisions.length,
      "law 4: revisions are never forgotten",
    );
    for (const [at, revision] of before.revisions.entries())
      assert.equal(state.revisions[at]?.digest, revision.digest, "law 4: content never changes");
    if (entries.some(({ kind }) => kind === "rollout.started")) this.#hasWayBack(before);
    this.#beginsOnce(before, state);
  }

  /** A command that somebody repeats is not begun again, whatever crashed in between. */
  #beginsOnce(before: EndpointState, state: EndpointState): void {
    const waited = waitingOperations(before.activity);
    const ended = new Set([...waited, ...appliedIn(before)]);
    const begins = [
      ...waitingOperations(state.activity).filter((operation) => !waited.includes(operation)),
      ...appliedIn(state).filter((operation) => !ended.has(operation)),
    ];
    for (const operation of begins) {
      assert.ok(!this.#begun.has(operation), `law 4: ${operation} is done once`);
      this.#begun.add(operation);
    }
  }

  /** Law 2: over a stable revision no rollout starts without a target that was proven. */
  #hasWayBack(before: EndpointState): void {
    const current = revisionOf(before, before.current);
    if (current?.status !== "stable") return;
    const isProven = before.revisions
      .filter(({ status }) => status === "stable" || status === "provisional")
      .some(({ digest }) => this.#wasProven(digest));
    const versions = this.#disk.versions.some(
      ({ record }) => record.status === "stable" && this.#wasProven(record.digest),
    );
    assert.ok(
      isProven || versions,
      `law 2: a rollout started over revision ${current.revision} and there is no way back`,
    );
  }

  /** Whether it was proven when the deploy that is being stored was decided upon. */
  #wasProven(digest: string): boolean {
    const then = this.#deployDecidedAt;
    const bad = [...this.#bad.values()]
      .flatMap((known) => known.get(digest) ?? [])
      .filter((since) => since <= then);
    if (bad.some((since) => then - since > KNOWN_MS)) return false;
    const disagreesSince = this.#disagree.get(digest) ?? then;
    if (this.#disk.disagreements.has(digest) && then - disagreesSince > KNOWN_MS) return false;
    const hashedAt = this.hashed.get(digest) ?? -Infinity;
    return bad.length === 0 || then - hashedAt < PROOF_AGE_MS;
  }

  /** Law 4. */
  #historyIsWhole(): void {
    for (const [endpoint, chain] of this.#disk.history) {
      const verdict = verifyChain(chain);
      assert.ok(verdict.ok, `law 4: the history of ${endpoint} verifies`);
      const seen = this.#disk.witnessed.filter((entry) => entry.endpoint === endpoint);
      assert.equal(chain.length, seen.length, "law 4: history only grows");
      for (const [at, entry] of seen.entries())
        assert.equal(chain[at]?.hash, entry.hash, `law 4: entry ${entry.sequence} stays`);
    }
    const hashes = new Set(this.#disk.witnessed.map(({ hash }) => hash));
    for (const head of this.#toldHeads)
      assert.ok(hashes.has(head), "law 4: what an answer told of is in history");
  }

  /** Law 7: what a gateway did alone is history, once. */
  #overridesAreHistory(gateways: readonly SimulatedGateway[]): void {
    for (const { override, by } of this.#overrides) {
      const entries = this.#disk.witnessed.filter(
        ({ kind, data }) =>
          kind === "rollback.completed" &&
          data["via"] === "gateway" &&
          data["rollback"] === override.id,
      );
      assert.ok(entries.length <= 1, "law 7: what happened alone is told once");
      assert.ok(
        entries.every(({ data }) => data["verified"] === true),
        "law 3: what happened alone was verified",
      );
      const isKept = override.measured.durable || gateways.includes(by);
      assert.ok(!isKept || entries.length === 1, "law 7: what happened alone is not forgotten");
    }
  }

  /** What served when the rollout began: it need not be what a rollback goes to. */
  #comparedWith(evidence: string, target: unknown): number | null {
    // After it was reinstated its evidence is called by its id and a number.
    const [rollout] = evidence.split(".");
    const started = this.#disk.witnessed.find(
      ({ kind, data }) => kind === "rollout.started" && data["rollout"] === rollout,
    );
    const stable = started === undefined ? target : started.data["from"];
    return (stable as { readonly revision: number } | null)?.revision ?? null;
  }

  /** Law 6: what ended a rollout is computed again from what is stored, to the last digit. */
  #verdictsAreReproduced(): void {
    for (const { kind, data } of this.#disk.witnessed) {
      const evidence = data["evidence"] as RecordedEvidence | null | undefined;
      if (kind === "rollout.succeeded" && evidence !== undefined && evidence !== null)
        this.#endIsReproduced(evidence, data["to"]);
      if (kind !== "rollback.started" || evidence === null || evidence === undefined) continue;
      const records = this.#disk.evidence.get(evidence.id) ?? [];
      const plan = planIn(records);
      assert.ok(plan !== null, "law 6: the plan is stored");
      const candidate = data["from"] as { readonly revision: number };
      const stable = this.#comparedWith(evidence.id, data["to"]);
      const reader = new IntervalReader({ candidate: candidate.revision, stable });
      const intervals = records.flatMap((record) => reader.next(record) ?? []);
      // What goes back for want of data or evidence blames no metric: the clock decides, not the counts.
      const isByEvidence = evidence.assessment.blamed.length > 0;
      const again = recompute(plan, intervals).find(
        ({ logE, decision }) =>
          logE === evidence.assessment.logE && (decision === "rollback" || !isByEvidence),
      );
      assert.ok(again !== undefined, "law 6: the verdict is computed again from the evidence");
      assert.deepEqual(again.blamed, evidence.assessment.blamed, "law 6: with the same blame");
    }
  }

  #endIsReproduced({ id, position, context, assessment }: RecordedEvidence, to: unknown): void {
    const records = this.#disk.evidence.get(id) ?? [];
    const plan = planIn(records);
    assert.ok(plan !== null, "law 6: the plan is stored");
    const candidate = (to as { readonly revision: number }).revision;
    const reader = new IntervalReader({ candidate, stable: this.#comparedWith(id, null) });
    const known = records.filter((record) => record.position <= position);
    const intervals = known.flatMap((record) => reader.next(record) ?? []);
    const again = replay(plan, intervals, context).assessment;
    assert.deepEqual(again, assessment, "law 6: the end of the bake is computed again");
  }
}

interface RecordedEvidence {
  readonly id: string;
  readonly position: number;
  readonly context: AssessmentContext;
  readonly assessment: { readonly logE: number; readonly blamed: readonly string[] };
}
