import type { RollbackBody, RolledBack } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  revisionOf,
  type EndpointState,
  type Measured,
  type RollbackDone,
} from "../../core/rollout/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { GatewayRolledBack } from "../../link/message/index.ts";
import { servedView } from "./view.ts";

/** A revision of the endpoint as a rollback names it. */
export function served(state: EndpointState, revision: number): RolledBack["from"] {
  return (
    servedView(state, revision) ?? { version: "unknown", revision: null, digest: unknownDigest() }
  );
}

function unknownDigest(): never {
  throw new LastgoodError(
    "internal",
    "a rollback names a revision that the endpoint does not have",
  );
}

function consequence(state: EndpointState, record: RollbackDone): readonly string[] {
  const left = revisionOf(state, record.from);
  if (left?.status !== "failed") return [];
  return [
    `${versionLabel(left.version)} is marked failed, kept, and refused at the next deploy without --force`,
  ];
}

/** A rollback that was reported done. */
export function rollbackAnswer(
  state: EndpointState,
  record: RollbackDone,
  how: {
    readonly already: boolean;
    readonly historyHead: string | null;
    readonly notes?: readonly string[];
  },
): RolledBack {
  return {
    endpoint: state.identity.name,
    from: served(state, record.from),
    to: served(state, record.to),
    why: record.why,
    passedOver: record.passedOver.map(({ version, why }) => ({ version, why })),
    warm: record.warm,
    ...measuredFields(record.measured),
    via: record.via,
    trigger: record.trigger,
    actor: record.actor,
    reason: record.reason,
    at: record.at,
    historyHead: how.historyHead,
    dryRun: false,
    already: how.already,
    notes: [...(how.notes ?? consequence(state, record))],
  };
}

/** What a rollback would do: nothing is measured. */
export function rehearsedAnswer(
  state: EndpointState,
  body: { readonly actor: string; readonly reason: string | null; readonly dryRun: boolean },
  what: Pick<
    RolledBack,
    "from" | "to" | "why" | "warm" | "passedOver" | "historyHead" | "already"
  > & { readonly expectedSeconds: number },
): RolledBack {
  const { expectedSeconds, ...answered } = what;
  const cold = `the target is cold: it is hashed, loaded and checked on the way, about ${formatDuration(expectedSeconds * 1_000)}`;
  return {
    endpoint: state.identity.name,
    ...answered,
    ...measuredFields(null),
    via: "api",
    trigger: "manual",
    actor: body.actor,
    reason: body.reason,
    at: null,
    dryRun: body.dryRun,
    notes: what.warm ? [] : [cold],
  };
}

/** What was measured; nulls where nothing was. */
function measuredFields(measured: Measured | null): Pick<RolledBack, keyof Measured> {
  return (
    measured ?? {
      verified: null,
      durable: null,
      switchMs: null,
      lastOldAdmittedMs: null,
      lastOldResponseMs: null,
      failedRequests: null,
    }
  );
}

/** What the gateways did on their own. */
export function gatewayAnswer(
  did: GatewayRolledBack,
  body: RollbackBody,
  cause: string,
): RolledBack {
  return {
    endpoint: did.endpoint,
    from: did.from,
    to: did.to,
    why: did.why,
    passedOver: did.passedOver,
    warm: true,
    ...measuredFields(did.override?.measured ?? null),
    via: "gateway",
    trigger: body.trigger,
    actor: body.actor,
    reason: body.reason,
    at: did.override?.at ?? null,
    historyHead: null,
    dryRun: body.dryRun,
    already: did.already,
    notes: [`the store did not take it (${cause}); history follows when it does`],
  };
}
