import { randomUUID } from "node:crypto";

import {
  foresee,
  planAnalysis,
  plannedUnder,
  trafficOf,
  untestedIn,
  type Comparison,
  type Outlook,
} from "../../core/analysis/index.ts";
import type { DeployBody, Deployed, Served } from "../../core/api/index.ts";
import { defaultEndpointName, type EndpointIdentity } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { defaultPolicy } from "../../core/policy/index.ts";
import {
  newEndpoint,
  revisionOf,
  rolloutOf,
  stepsOf,
  transition,
  type Deploy,
  type EndpointState,
  type Measured,
  type Rollout,
} from "../../core/rollout/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import { parseEndpointName, versionLabel, type ReferenceSet } from "../../core/version/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";
import { readBaseline } from "./baseline.ts";
import { coldSeconds } from "./cold-start.ts";
import { askServers, comparisonIn } from "./comparison.ts";
import type { Endpoints, RunningEndpoint } from "./endpoints.ts";
import { referenceOf } from "./input-reference.ts";
import { checkCurrent } from "./named-version.ts";
import { deployUnder, putInForce, underPolicy, type DeployUnder } from "./policy-command.ts";
import { COLD_PROOF_AGE_MS } from "./target-choice.ts";
import { rolloutView, servedView } from "./view.ts";

function identityFor(body: DeployBody, version: VersionRecord): EndpointIdentity {
  const environment = body.environment ?? "production";
  const name = body.endpoint ?? defaultEndpointName(version.model, environment);
  return { name: parseEndpointName(name), model: version.model, environment };
}

/** The endpoint a deploy is meant for, or null when it is to be made. */
function meantEndpoint(
  endpoints: Endpoints,
  body: DeployBody,
  version: VersionRecord,
): RunningEndpoint | null {
  if (body.endpoint !== null) {
    const named = endpoints.get(body.endpoint);
    if (named === undefined) return null;
    const { model } = named.controller.state.identity;
    if (model !== version.model)
      throw new LastgoodError(
        "endpoint.other-model",
        `${body.endpoint} serves ${model}, not ${version.model}`,
        { hint: `choose another name: --to ${defaultEndpointName(version.model, "production")}` },
      );
    return named;
  }
  const serving = endpoints.ofModel(version.model);
  if (serving.length > 1)
    throw new LastgoodError(
      "endpoint.ambiguous",
      `${version.model} is served by ${serving.map(({ controller }) => controller.state.identity.name).join(", ")}`,
      { hint: "say which with --to" },
    );
  return serving[0] ?? null;
}

function barred(version: VersionRecord): string | null {
  if (version.status !== "failed" && version.status !== "archived") return null;
  return version.statusReason === null
    ? version.status
    : `${version.status}: ${version.statusReason}`;
}

/** Whether what serves now would be a proven way back from the new version. */
async function wayBack(endpoints: Endpoints, state: EndpointState): Promise<Deploy["wayBack"]> {
  const current = revisionOf(state, state.current);
  if (current === undefined) return { proven: false, why: "it is the endpoint's first version" };
  const version = await endpoints.deps.select(
    state.identity.model,
    String(current.version.sequence),
  );
  const facts = await endpoints.chooser.factsAbout(state, version, COLD_PROOF_AGE_MS);
  const own = facts?.proof(current.digest);
  const trusted = current.status === "stable" || current.status === "provisional";
  if (own?.holds === true && trusted) return { proven: true };
  const { targets } = await endpoints.chooser.chooseForSwitch(state);
  if (targets.length > 0) return { proven: true };
  const why =
    own === undefined || own.holds
      ? `${versionLabel(current.version)} is ${current.status}`
      : own.why;
  return { proven: false, why };
}

async function deployEvent(
  endpoints: Endpoints,
  state: EndpointState,
  body: DeployBody,
  version: VersionRecord,
  operation: string,
): Promise<Deploy> {
  return {
    type: "deploy",
    operation,
    actor: body.actor,
    reason: body.reason,
    rolloutId: randomUUID(),
    version: { model: version.model, name: version.name, sequence: version.sequence },
    digest: version.digest,
    runtime: version.runtime,
    signature: version.signature,
    policy: state.policy ?? defaultPolicy("blueGreen"),
    strategy: body.strategy,
    weight: body.weight,
    bakeMs: body.bakeMs,
    force: body.force,
    replace: body.replace,
    barred: barred(version),
    wayBack: await wayBack(endpoints, state),
  };
}

function notesOf(state: EndpointState, event: Deploy): readonly string[] {
  if (event.wayBack.proven || state.current === null) return [];
  return [`no way back: ${event.wayBack.why}`];
}

/** What the policy asks for and cannot be had. */
async function unwatched(
  endpoints: Endpoints,
  state: EndpointState,
  event: Deploy,
): Promise<readonly string[]> {
  // A first revision is compared with nothing.
  if (state.current === null) return [];
  const { metrics } = event.policy.analysis;
  return [
    ...endpoints.deps.signals.unknownSources(metrics),
    ...(await withoutReference(endpoints, state, event)),
  ];
}

/** Drift of inputs without a set to compare with. */
async function withoutReference(
  { catalog }: Endpoints,
  state: EndpointState,
  { policy, version }: Deploy,
): Promise<readonly string[]> {
  if (!policy.analysis.metrics.some(({ kind }) => kind === "inputDrift")) return [];
  const current = revisionOf(state, state.current);
  const setOf = async (sequence: number): Promise<ReferenceSet | null> =>
    (await catalog.manifest(state.identity.model, sequence)).reference;
  const candidate = await setOf(version.sequence);
  const stable = current === undefined ? null : await setOf(current.version.sequence);
  if (current === undefined || referenceOf({ policy }, { candidate, stable }) !== null) return [];
  return [
    `inputs are compared with nothing: ${versionLabel(version)} was registered without --reference, and ${versionLabel(current.version)} has none to stand in`,
  ];
}

function answer(
  state: EndpointState,
  did: {
    readonly started: boolean;
    readonly measured: Measured | null;
    readonly dryRun: boolean;
    readonly notes: readonly string[];
    readonly rollout: Rollout | null;
    readonly outlook: Outlook | null;
  },
  now: number,
): Deployed {
  const current: Served | null = servedView(state, state.current);
  return {
    endpoint: state.identity.name,
    started: did.started,
    rollout: rolloutView(state, did.rollout, now),
    current,
    verified: did.measured?.verified ?? false,
    switchMs: did.measured?.switchMs ?? null,
    failedRequests: did.measured?.failedRequests ?? null,
    outlook: did.outlook,
    dryRun: did.dryRun,
    notes: [...did.notes],
  };
}

/** What the rollout is about to do, and what it can see by the traffic so far. */
async function outlookOf(
  { deps }: Endpoints,
  state: EndpointState,
  rollout: Rollout | null,
): Promise<Outlook | null> {
  if (rollout === null || rollout.from === null) return null;
  const { policy, from: revision, startedAt: before, byHand, bakeMs } = rollout;
  const endpoint = state.identity.name;
  const baseline = await readBaseline(deps.store.evidence, endpoint, { revision, before });
  const comparison = comparisonOf(deps, state, rollout);
  const { analysis } = policy;
  const servers = askServers(state, rollout);
  const plan = planAnalysis({ analysis, horizonIntervals: 1, baseline, comparison, servers });
  // Drift of inputs has a note of its own, which names the version that has no set.
  const inputs = analysis.metrics.find(({ kind }) => kind === "inputDrift")?.name;
  return foresee(
    { ...plannedUnder(policy), comparison, steps: stepsOf(rollout), byHand, bakeMs },
    trafficOf(baseline, analysis.dispersion),
    untestedIn(plan).filter(({ metric }) => metric !== inputs),
  );
}

function comparisonOf(
  { gateways }: Endpoints["deps"],
  state: EndpointState,
  { policy, from, candidate }: Rollout,
): Comparison {
  const inputs = (revision: number | null): unknown =>
    revisionOf(state, revision)?.signature.inputs;
  const endpoint = state.identity.name;
  const stable = from === null ? null : gateways.revisionState({ endpoint, revision: from });
  return comparisonIn(policy, {
    inputs: [inputs(candidate), inputs(from)],
    takesCopies: stable?.takesCopies !== false,
  });
}

/** Where nothing is kept warm: how long requests wait on the way there, and on the way back. */
async function coldNotes(
  { catalog, deps }: Endpoints,
  state: EndpointState,
  rollout: Rollout | null,
): Promise<readonly string[]> {
  const stable = revisionOf(state, state.current);
  if (rollout?.strategy !== "recreate" || stable === undefined) return [];
  const manifest = await catalog.manifest(state.identity.model, stable.version.sequence);
  const seconds = coldSeconds(manifest, deps.gateways.startedInMs(stable.digest));
  return [
    `recreate: requests wait while it is loaded; the way back is cold too: ${versionLabel(stable.version)} takes about ${formatDuration(seconds * 1_000)}`,
  ];
}

/** What a deploy would do, refusals included, without doing it. */
async function rehearse(
  endpoints: Endpoints,
  running: RunningEndpoint | null,
  under: DeployUnder,
  version: VersionRecord,
): Promise<Deployed> {
  const { body } = under;
  const now = endpoints.deps.clock.now();
  const before = running?.controller.state ?? newEndpoint(identityFor(body, version), now);
  const { state, notes } = underPolicy(before, under);
  const event = await deployEvent(endpoints, state, body, version, "dry run");
  const after = transition(state, event, now);
  const rollout = rolloutOf(after.state);
  const started = after.history.length > 0;
  return {
    ...answer(
      state,
      {
        started,
        measured: null,
        dryRun: true,
        notes: [
          ...notes,
          ...notesOf(state, event),
          ...(await unwatched(endpoints, state, event)),
          ...(started ? await coldNotes(endpoints, state, rollout) : []),
        ],
        rollout: null,
        outlook: started ? await outlookOf(endpoints, after.state, rollout) : null,
      },
      now,
    ),
    // Not started: the one that is under way already, if any.
    rollout: rolloutView(after.state, rollout, now),
  };
}

/** The endpoint under the policy that came with the deploy, made where there is none yet. */
async function made(
  endpoints: Endpoints,
  known: RunningEndpoint | null,
  under: DeployUnder,
  of: { readonly version: VersionRecord; readonly operation: string },
): Promise<{ readonly running: RunningEndpoint; readonly notes: readonly string[] }> {
  const { body, policy } = under;
  const { version, operation } = of;
  // What would be refused must leave neither an empty endpoint behind nor a policy.
  if (known === null || policy !== null) await rehearse(endpoints, known, under, version);
  const running = known ?? (await endpoints.create(identityFor(body, version), body.actor));
  const { notes } = underPolicy(running.controller.state, under);
  if (policy !== null)
    await putInForce(running, policy, { ...body, operation: `${operation} policy` });
  return { running, notes };
}

async function checkExpected(
  endpoints: Endpoints,
  known: RunningEndpoint | null,
  { ifCurrent }: DeployBody,
): Promise<void> {
  if (ifCurrent === null) return;
  if (known === null)
    throw new LastgoodError("current.mismatch", "nothing is served under that endpoint yet");
  await checkCurrent(endpoints, known.controller.state, ifCurrent);
}

/**
 * Starts a rollout and waits until the candidate carries what was asked, verified. The same operation
 * again starts no other.
 */
export async function deploy(
  endpoints: Endpoints,
  given: DeployBody,
  operation: string,
): Promise<Deployed> {
  const version = await endpoints.deps.resolve(given.reference);
  const under = deployUnder(given, version);
  const { body } = under;
  const known = meantEndpoint(endpoints, body, version);
  // Looked at again, what a repeated command has done itself would be held against it.
  const isRepeat = known?.controller.hasTaken(operation) === true;
  if (!isRepeat) await checkExpected(endpoints, known, body);
  if (body.dryRun) return rehearse(endpoints, known, under, version);
  const { running, notes: ofPolicy } = isRepeat
    ? { running: known, notes: [] }
    : await made(endpoints, known, under, { version, operation });
  const { controller } = running;
  let notes: readonly string[] = [];
  const outcome = await controller.command(
    async () => {
      const { state } = controller;
      // Another command may have had its turn meanwhile.
      await checkExpected(endpoints, running, body);
      const event = await deployEvent(endpoints, state, body, version, operation);
      const without = await unwatched(endpoints, state, event);
      notes = [...ofPolicy, ...notesOf(state, event), ...without];
      return event;
    },
    { operation },
  );
  if (!outcome.ok) throw outcome.error;
  if (outcome.did !== "deployed" && outcome.did !== "unchanged")
    throw new LastgoodError("internal", `deploy was answered with ${outcome.did}`);
  // The same content on its way already: this command waits for it like the first one.
  if (outcome.did === "unchanged" && outcome.rollout !== null) await controller.whenSettled();
  const { state } = controller;
  return answer(
    state,
    {
      started: outcome.did === "deployed",
      measured: outcome.measured,
      dryRun: false,
      notes,
      rollout: outcome.rollout,
      outlook: await outlookOf(endpoints, state, outcome.rollout),
    },
    endpoints.deps.clock.now(),
  );
}
