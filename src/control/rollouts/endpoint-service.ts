import { randomUUID } from "node:crypto";

import type {
  AppliedPolicy,
  ApplyPolicyBody,
  DeployBody,
  Deployed,
  Doctor,
  DoctorCheck,
  EndpointService,
  EndpointTraffic,
  EndpointView,
  EvidencePage,
  History,
  HistoryEntry,
  HistoryVerified,
  Incident,
  Incidents,
  MarkBody,
  PolicyView,
  Readiness,
  ReinstateBody,
  RollbackBody,
  RolledBack,
  RolloutAnswer,
  RolloutCommand,
  Status,
  VersionView,
} from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  armsOf,
  leavingRevision,
  revisionOf,
  type EndpointState,
} from "../../core/rollout/index.ts";
import type { Target } from "../../core/target/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { Count, Evidence } from "../../link/count/index.ts";
import type { GatewayStatus, RevisionState } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import { generationOver } from "../../link/route/index.ts";
import { verifyChain, type ChainEntry } from "../../storage/history/index.ts";
import { expectedSeconds } from "./cold-start.ts";
import { deploy } from "./deploy-command.ts";
import type { EndpointDeps } from "./deps.ts";
import { endpointChecks } from "./endpoint-check.ts";
import { Endpoints, type RunningEndpoint } from "./endpoints.ts";
import { gatewayRecord } from "./evidence-record.ts";
import { EndedAssessments, evidencePage, showTraffic } from "./evidence-service.ts";
import { FORGET_EVERY_MS, forgetEvidence } from "./forget-evidence.ts";
import { listIncidents, showIncident, wholeHistory } from "./incident-service.ts";
import { withLogLines } from "./left-log-lines.ts";
import { applyPolicy, showPolicy } from "./policy-command.ts";
import { endpointFromRoute } from "./rebuild.ts";
import { reinstate, rollback } from "./rollback-command.ts";
import { showRollout, steer } from "./steer-command.ts";
import { COLD_PROOF_AGE_MS } from "./target-choice.ts";
import { needs, withinReach } from "./version-needs.ts";
import { endpointView } from "./view.ts";

/** A cold proof shown in a view may be this old, ms. */
const VIEW_PROOF_AGE_MS = 60_000;
const TICK_MS = 100;

/** What the composition adds to what endpoints are run with. */
export interface EndpointServiceDeps extends Omit<EndpointDeps, "onEntry" | "onVersionFailed"> {
  /** Everything doctor looks at that is no endpoint's. */
  readonly generalChecks: () => Promise<readonly DoctorCheck[]>;
}

/** The application service of endpoints: every command, every view, and what gateways report. */
export class Rollouts implements EndpointService {
  readonly #endpoints: Endpoints;
  readonly #deps: EndpointServiceDeps;
  readonly #ended: EndedAssessments;
  readonly #watchers = new Set<(entry: HistoryEntry) => void>();
  readonly #timers: (() => void)[] = [];

  constructor(deps: EndpointServiceDeps) {
    this.#deps = deps;
    this.#endpoints = new Endpoints({
      ...deps,
      onEntry: (entry) => this.#onEntry(entry),
      onVersionFailed: (failed) => this.#tellOthers(failed),
    });
    this.#ended = new EndedAssessments(this.#endpoints);
  }

  /** Goes on with what was under way when the last control plane ended. */
  async start(): Promise<void> {
    await this.#endpoints.resume();
    const { timers } = this.#deps;
    this.#timers.push(
      timers.every(TICK_MS, () => {
        for (const { controller } of this.#endpoints.all()) controller.tick();
      }),
      timers.every(FORGET_EVERY_MS, () => void forgetEvidence(this.#endpoints)),
    );
  }

  stop(): void {
    for (const stopTimer of this.#timers.splice(0)) stopTimer();
    this.#endpoints.stop();
  }

  deploy(body: DeployBody, operation: string = randomUUID()): Promise<Deployed> {
    return deploy(this.#endpoints, body, operation);
  }

  rollback(body: RollbackBody, operation: string = randomUUID()): Promise<RolledBack> {
    return rollback(this.#endpoints, body, operation);
  }

  reinstate(body: ReinstateBody, operation: string = randomUUID()): Promise<RolledBack> {
    return reinstate(this.#endpoints, body, operation);
  }

  steer(command: RolloutCommand, operation: string = randomUUID()): Promise<RolloutAnswer> {
    return steer(this.#endpoints, command, operation);
  }

  applyPolicy(
    endpoint: string,
    body: ApplyPolicyBody,
    operation: string = randomUUID(),
  ): Promise<AppliedPolicy> {
    return applyPolicy(this.#endpoints, endpoint, body, operation);
  }

  policy(endpoint: string | null): PolicyView {
    return showPolicy(this.#endpoints, endpoint);
  }

  async rollout(endpoint: string | null): Promise<RolloutAnswer> {
    const running = this.#endpoints.find(endpoint);
    const answer = showRollout(running, this.#deps.clock.now(), "");
    const { lastRollout } = running.controller.state;
    if (answer.assessment !== null || lastRollout?.rollout.id !== answer.rollout?.id) return answer;
    if (lastRollout === null || lastRollout === undefined) return answer;
    const ended = await this.#ended.of(running, lastRollout.rollout);
    if (ended === null) return answer;
    return { ...answer, assessment: ended.assessment, seen: { ...ended.seen, inStep: null } };
  }

  async status(): Promise<Status> {
    const endpoints: EndpointView[] = [];
    for (const running of this.#endpoints.all()) endpoints.push(await this.#view(running));
    const gateways = this.#deps.gateways.connected();
    const { rebuilt } = this.#deps.store;
    const alarms = rebuilt === null ? [] : [rebuilt.message];
    if (gateways.length === 0) alarms.push("no gateway is connected: nothing can be switched now");
    return {
      endpoints,
      gateways: gateways.map(({ gateway, pid, workers, serveAddress }) => ({
        gateway,
        pid,
        workers,
        serveAddress,
      })),
      alarms,
    };
  }

  endpoint(name: string): Promise<EndpointView> {
    return this.#view(this.#endpoints.find(name));
  }

  async history(endpoint: string | null, after: number, limit: number): Promise<History> {
    const { controller } = this.#endpoints.find(endpoint);
    const { name } = controller.state.identity;
    const entries = await this.#deps.store.history.list(name, { after, limit });
    return { endpoint: name, head: controller.historyHead, entries: entries.map(entryView) };
  }

  async verifyHistory(endpoint: string | null, expect: string | null): Promise<HistoryVerified> {
    const { name } = this.#endpoints.find(endpoint).controller.state.identity;
    const entries = await wholeHistory(this.#deps.store.history, name);
    const verdict = verifyChain(entries, expect);
    return {
      endpoint: name,
      ok: verdict.ok,
      entries: entries.length,
      head: verdict.head,
      firstAltered: verdict.ok ? null : verdict.firstAltered,
      problem: verdict.ok ? null : verdict.problem,
    };
  }

  incidents(endpoint: string | null): Promise<Incidents> {
    return listIncidents(this.#endpoints, endpoint);
  }

  incident(id: string): Promise<Incident> {
    return showIncident(this.#endpoints, id);
  }

  evidence(id: string, cursor: string | null): Promise<EvidencePage> {
    return evidencePage(this.#endpoints, id, cursor);
  }

  traffic(endpoint: string | null): Promise<EndpointTraffic> {
    return showTraffic(this.#endpoints, endpoint);
  }

  async doctor(): Promise<Doctor> {
    const checks = [...(await this.#deps.generalChecks())];
    for (const running of this.#endpoints.all()) checks.push(...(await this.#examine(running)));
    return { ok: checks.every((one) => one.level !== "error"), checks };
  }

  readiness(): Readiness {
    const { gateways } = this.#deps;
    const unserved = this.#endpoints.all().flatMap(({ controller }) => {
      const { state } = controller;
      const endpoint = state.identity.name;
      const current = revisionOf(state, state.current);
      if (current === undefined) return [];
      const loaded = gateways.revisionState({ endpoint, revision: current.revision });
      return loaded?.state === "ready"
        ? []
        : [`${endpoint}: ${versionLabel(current.version)} is not loaded`];
    });
    const none = gateways.connected().length === 0 ? ["no gateway is connected"] : [];
    const missing = [...none, ...unserved];
    return { ready: missing.length === 0, missing };
  }

  servedBy(model: string, sequence: number): VersionView["servedBy"] {
    return this.#endpoints.ofModel(model).flatMap(({ controller }) => {
      const { state } = controller;
      return armsOf(state)
        .filter((arm) => revisionOf(state, arm.revision)?.version.sequence === sequence)
        .map((arm) => ({ endpoint: state.identity.name, revision: arm.revision }));
    });
  }

  serversOf(digest: string): VersionView["servers"] {
    return this.#deps.gateways
      .revisionStates()
      .filter((state) => state.digest === digest)
      .flatMap(({ endpoint, revision, pid, process }) =>
        process === undefined ? [] : [{ endpoint, revision, pid, ...process }],
      );
  }

  versionsChanged(model: string): void {
    for (const { controller } of this.#endpoints.ofModel(model)) controller.refresh();
  }

  async versionMarked(
    model: string,
    sequence: number,
    body: MarkBody,
    operation: string = randomUUID(),
  ): Promise<readonly string[]> {
    const consequences: string[] = [];
    for (const { controller } of this.#endpoints.ofModel(model)) {
      const outcome = await controller.command(
        async () => ({
          type: "mark",
          operation,
          actor: body.actor,
          reason: body.reason,
          rollbackId: randomUUID(),
          sequence,
          status: body.status,
          choice: await this.#endpoints.chooser.chooseForSwitch(controller.state),
        }),
        { operation },
      );
      if (!outcome.ok) throw outcome.error;
      if (outcome.did === "steered" && outcome.done !== "") consequences.push(outcome.done);
      if (outcome.did === "returned") {
        const { state } = controller;
        const current = leavingRevision(state);
        const back = current === undefined ? "nothing" : versionLabel(current.version);
        consequences.push(`${state.identity.name} was rolled back to ${back}`);
      }
    }
    return consequences;
  }

  neededBy(model: string, sequence: number): Promise<readonly string[]> {
    return this.#whoNeeds(model, (state, targets) => needs(state, targets, sequence));
  }

  withinReach(model: string, sequence: number): Promise<readonly string[]> {
    return this.#whoNeeds(model, (state, targets) => withinReach(state, targets, sequence));
  }

  async #whoNeeds(
    model: string,
    need: (state: EndpointState, targets: readonly Target[]) => readonly string[],
  ): Promise<readonly string[]> {
    const needed: string[] = [];
    for (const { controller } of this.#endpoints.ofModel(model)) {
      const { state } = controller;
      const { targets } = await this.#endpoints.chooser.choose(state, COLD_PROOF_AGE_MS);
      needed.push(...need(state, targets));
    }
    return needed;
  }

  watch(onEntry: (entry: HistoryEntry) => void): () => void {
    this.#watchers.add(onEntry);
    return () => this.#watchers.delete(onEntry);
  }

  /** A gateway came (again): what it did alone is taken in, what the store lost is taken over. */
  async gatewayConnected(status: GatewayStatus): Promise<void> {
    const { meta } = this.#deps.store;
    const known = status.routes.map((route) => route.order);
    await meta.raiseGenerationAbove(generationOver(await meta.order(), known) - 1);
    for (const route of status.routes) {
      if (this.#endpoints.get(route.endpoint) === undefined) await this.#takeOver(route);
    }
    for (const override of status.overrides) await this.overridden(override);
    for (const state of status.revisions) await this.#heard(state);
    for (const { controller, publisher } of this.#endpoints.all()) {
      publisher.forget();
      controller.refresh();
    }
  }

  async revisionStateChanged(state: RevisionState): Promise<void> {
    const running = this.#endpoints.get(state.endpoint);
    if (running === undefined || state.state === "loading") return;
    if (state.state === "failed")
      this.#deps.journal.error(
        `revision ${state.revision} of ${state.endpoint} does not hold: ${state.why ?? ""}`,
        { alarm: "revision.unproven", endpoint: state.endpoint },
      );
    await this.#heard(state);
    running.controller.proofChanged();
  }

  /** What a gateway found out by replaying samples outlives it. */
  async #heard(state: RevisionState): Promise<void> {
    try {
      await this.#endpoints.disagreements.heard(state);
    } catch (error) {
      const { code, message } = LastgoodError.from(error);
      const { endpoint, revision } = state;
      const what = `how revision ${revision} of ${endpoint} fares`;
      this.#deps.journal.error(`${what} is not stored yet: ${message}`, { code, endpoint });
    }
  }

  /** Takes in what a gateway did on its own; @throws `store.unavailable`: it is to tell it again. */
  async overridden(override: Override): Promise<void> {
    const running = this.#endpoints.get(override.endpoint);
    if (running === undefined) return;
    const { controller } = running;
    const event = { type: "overridden", ...override } as const;
    await controller.report(await withLogLines(this.#deps, controller.state, event));
  }

  /** Resolves once what gateways saw of a rollout is stored. */
  async evidenceArrived(evidence: readonly Evidence[]): Promise<void> {
    const { store, errorInputs } = this.#deps;
    await store.evidence.append(evidence.map((each) => gatewayRecord(each, errorInputs)));
  }

  async counted(counts: readonly Count[]): Promise<void> {
    await this.#deps.store.counts.merge(counts);
  }

  async #takeOver(route: GatewayStatus["routes"][number]): Promise<void> {
    const now = this.#deps.clock.now();
    const state = endpointFromRoute(route, now);
    const saved = await this.#deps.store.endpoints.save({
      name: route.endpoint,
      model: route.model,
      state,
      revisionOfState: 0,
      entries: [
        {
          at: now,
          kind: "endpoint.rebuilt",
          actor: "lastgood",
          reason: "the store did not know this endpoint; it was taken over from a gateway's route",
          data: { order: route.order, historyHeadBefore: route.historyHead },
        },
      ],
    });
    for (const entry of saved.entries) this.#onEntry(entry);
    this.#deps.journal.error(`${route.endpoint} was rebuilt from a gateway's route`, {
      alarm: "endpoint.rebuilt",
    });
    this.#endpoints.run({
      state,
      revisionOfState: saved.revisionOfState,
      historyHead: saved.historyHead,
    });
  }

  async #view({ controller }: RunningEndpoint): Promise<EndpointView> {
    const { state, historyHead } = controller;
    const { name } = state.identity;
    const choice = await this.#endpoints.chooser.choose(state, VIEW_PROOF_AGE_MS);
    return endpointView({
      state,
      choice,
      expectedSeconds: await expectedSeconds(this.#endpoints, state, choice.targets[0]),
      revisionStates: this.#deps.gateways
        .revisionStates()
        .filter((revision) => revision.endpoint === name),
      counts: await this.#deps.store.counts.totals(name),
      historyHead,
      now: this.#deps.clock.now(),
    });
  }

  /** Proves the endpoint's target now, and says what a rollback would do. */
  async #examine({ controller }: RunningEndpoint): Promise<readonly DoctorCheck[]> {
    const { state } = controller;
    const endpoint = state.identity.name;
    return endpointChecks({
      state,
      choice: await this.#endpoints.chooser.choose(state, 0),
      serving:
        state.current === null
          ? null
          : this.#deps.gateways.revisionState({ endpoint, revision: state.current }),
    });
  }

  /** Other endpoints that count on the version hear of it; none of them moves any traffic. */
  #tellOthers(failed: Parameters<EndpointDeps["onVersionFailed"]>[0]): void {
    const { endpoint, model, sequence, reason } = failed;
    for (const { controller } of this.#endpoints.ofModel(model)) {
      if (controller.state.identity.name === endpoint) continue;
      controller
        .report({ type: "failedElsewhere", sequence, endpoint, reason })
        .catch((error: unknown) => {
          this.#deps.journal.error(`version.failed.elsewhere: ${String(error)}`, { endpoint });
        });
    }
  }

  #onEntry(entry: ChainEntry): void {
    this.#deps.journal.info(entry.kind, {
      endpoint: entry.endpoint,
      actor: entry.actor,
      sequence: entry.sequence,
    });
    for (const watcher of this.#watchers) watcher(entryView(entry));
  }
}

function entryView(entry: ChainEntry): HistoryEntry {
  return { ...entry, data: { ...entry.data } };
}
