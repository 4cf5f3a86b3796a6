import type {
  AppliedPolicy,
  ApplyPolicyBody,
  DeployBody,
  PolicyView,
} from "../../core/api/index.ts";
import { defaultEndpointName, type Environment } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  defaultPolicy,
  endpointPolicyToFile,
  parseEndpointPolicy,
  policyChanges,
  type EndpointPolicy,
  type Policy,
} from "../../core/policy/index.ts";
import type { EndpointState } from "../../core/rollout/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";
import type { Endpoints, RunningEndpoint } from "./endpoints.ts";

/** What applies at an endpoint: what was applied, else the defaults of a deploy that names no strategy. */
function inForce(state: EndpointState | null): Policy {
  return state?.policy ?? defaultPolicy("blueGreen");
}

function contradiction(message: string, hint: string): never {
  throw new LastgoodError("config.invalid", message, { hint });
}

/** @throws `endpoint.other-model`, `config.invalid` when the policy is for another endpoint than this. */
function checkFits(
  { identity }: EndpointState,
  wanted: { readonly model: string; readonly environment: Environment | null },
): void {
  const { name, model, environment } = identity;
  if (wanted.model !== model)
    throw new LastgoodError(
      "endpoint.other-model",
      `${name} serves ${model}, the policy is for ${wanted.model}`,
      {
        hint: `give the policy another name: ${defaultEndpointName(wanted.model, wanted.environment ?? "production")}`,
      },
    );
  if (wanted.environment !== null && wanted.environment !== environment)
    contradiction(
      `${name} stands in ${environment}, the policy says ${wanted.environment}`,
      "an endpoint stays where it was made; give the other one a name of its own",
    );
}

function fileOf(state: EndpointState, policy: Policy): PolicyView["policy"] {
  return { ...endpointPolicyToFile({ ...state.identity, policy }) };
}

/** The policy in force at an endpoint, as a file. */
export function showPolicy(endpoints: Endpoints, choice: string | null): PolicyView {
  const { state } = endpoints.find(choice).controller;
  return {
    endpoint: state.identity.name,
    isDefault: state.policy === null,
    policy: fileOf(state, inForce(state)),
  };
}

/** Puts a policy in force at an endpoint; the same again changes nothing. */
export async function putInForce(
  { controller }: RunningEndpoint,
  policy: Policy,
  by: { readonly actor: string; readonly reason: string | null; readonly operation: string },
): Promise<void> {
  const { actor, reason, operation } = by;
  const outcome = await controller.command(
    () => ({ type: "applyPolicy", operation, actor, reason, policy }),
    { operation },
  );
  if (!outcome.ok) throw outcome.error;
}

async function requireModel(endpoints: Endpoints, model: string): Promise<void> {
  if ((await endpoints.deps.store.models.get(model)) !== null) return;
  throw new LastgoodError("model.not-found", `no model is called "${model}"`, {
    hint: `register a version first: lastgood register ${model} FILE`,
  });
}

function differs(state: EndpointState | null, wanted: EndpointPolicy): AppliedPolicy["changes"] {
  return policyChanges(inForce(state), wanted.policy).map((change) => ({ ...change }));
}

function notesOf(state: EndpointState | null): readonly string[] {
  const phase = state?.activity.phase ?? "Idle";
  return phase === "Idle"
    ? []
    : [`a rollout is under way (${phase}) and goes on as it was started`];
}

/**
 * Applies a policy file to the endpoint it names, which is made where there is none yet.
 * @throws `config.invalid`, `endpoint.other-model`, `model.not-found`.
 */
export async function applyPolicy(
  endpoints: Endpoints,
  name: string,
  body: ApplyPolicyBody,
  operation: string,
): Promise<AppliedPolicy> {
  const wanted = parseEndpointPolicy({ name, ...body.policy });
  if (wanted.name !== name)
    contradiction(
      `the policy is for ${wanted.name}, not for ${name}`,
      `send it to /endpoints/${wanted.name}/policy, or leave its name out`,
    );
  const known = endpoints.get(name) ?? null;
  const before = known?.controller.state ?? null;
  if (before === null) await requireModel(endpoints, wanted.model);
  else checkFits(before, wanted);
  const changes = differs(before, wanted);
  const { model } = wanted;
  const environment = before?.identity.environment ?? wanted.environment ?? "production";
  if (!body.dryRun) {
    const running =
      known ?? (await endpoints.create({ name: wanted.name, model, environment }, body.actor));
    await putInForce(running, wanted.policy, { ...body, operation });
  }
  return {
    endpoint: wanted.name,
    created: before === null,
    changed: changes.length > 0 || before === null || before.policy === null,
    changes,
    policy: { ...endpointPolicyToFile({ ...wanted, environment }) },
    dryRun: body.dryRun,
    notes: [
      ...notesOf(before),
      ...endpoints.deps.signals.unknownSources(wanted.policy.analysis.metrics),
    ],
  };
}

/** A deploy with the policy that came with it, read. */
export interface DeployUnder {
  readonly body: DeployBody;
  /** Null: none came with it. */
  readonly policy: Policy | null;
}

/**
 * What a deploy and the policy file given with it say together: the file's endpoint and environment
 * count where the command names none.
 * @throws `config.invalid` where they contradict each other.
 */
export function deployUnder(body: DeployBody, version: VersionRecord): DeployUnder {
  if (body.policy === null) return { body, policy: null };
  const wanted = parseEndpointPolicy({ model: version.model, ...body.policy });
  const { endpoint, environment } = body;
  if (wanted.model !== version.model)
    throw new LastgoodError(
      "endpoint.other-model",
      `the policy is for ${wanted.model}, not for ${version.model}`,
      { hint: "give the policy of this model" },
    );
  const named = Object.hasOwn(body.policy, "name") ? wanted.name : null;
  if (named !== null && endpoint !== null && named !== endpoint)
    contradiction(
      `the policy is for ${named}, the deploy for ${endpoint}`,
      "leave one of the two names out",
    );
  if (wanted.environment !== null && environment !== null && wanted.environment !== environment)
    contradiction(
      `the policy says ${wanted.environment}, the deploy ${environment}`,
      "leave one of the two out",
    );
  return {
    body: {
      ...body,
      endpoint: endpoint ?? named,
      environment: environment ?? wanted.environment,
    },
    policy: wanted.policy,
  };
}

/**
 * The state a deploy starts from, under the policy that came with it, and what that changes in words.
 * @throws `config.invalid` where the endpoint stands in another environment.
 */
export function underPolicy(
  state: EndpointState,
  { policy, body }: DeployUnder,
): { readonly state: EndpointState; readonly notes: readonly string[] } {
  if (policy === null) return { state, notes: [] };
  const { model } = state.identity;
  checkFits(state, { model, environment: body.environment });
  const changes = policyChanges(inForce(state), policy);
  if (state.policy !== null && changes.length === 0) return { state, notes: [] };
  const keys =
    changes.length === 0 ? "as the defaults are" : changes.map(({ key }) => key).join(", ");
  return {
    state: { ...state, policy },
    notes: [`policy ${body.dryRun ? "would be applied" : "applied"}: ${keys}`],
  };
}
