import type { DoctorCheck } from "../../core/api/index.ts";
import { leavingRevision, revisionOf, type EndpointState } from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";

/** What doctor says of one endpoint is made of. */
export interface ExaminedEndpoint {
  readonly state: EndpointState;
  /** Proven now. */
  readonly choice: TargetChoice;
  /** What gateways say of the current revision; null: nothing. */
  readonly serving: RevisionState | null;
}

function check(
  name: string,
  level: DoctorCheck["level"],
  message: string,
  hint: string | null,
): DoctorCheck {
  return { check: name, ok: level === "ok" || level === "note", level, message, hint };
}

/** What doctor says of an endpoint: that it does not answer where it does not, and its way back. */
export function endpointChecks(examined: ExaminedEndpoint): readonly DoctorCheck[] {
  const { state } = examined;
  const leaving = leavingRevision(state);
  if (leaving === undefined)
    return [check(`endpoint ${state.identity.name}`, "note", "serves nothing yet", null)];
  return [...servingChecks(examined), wayBack(examined, versionLabel(leaving.version))];
}

function servingChecks({ state, serving }: ExaminedEndpoint): DoctorCheck[] {
  const current = revisionOf(state, state.current);
  if (current === undefined || serving?.state === "ready") return [];
  const label = versionLabel(current.version);
  const name = `endpoint ${state.identity.name}`;
  if (serving?.state === "loading")
    return [check(name, "warning", `${label} is being loaded; requests wait for it`, null)];
  const why = serving?.why ?? "no gateway has loaded it";
  const hint = "what stands in the way is tried again every few seconds; look at the server's logs";
  return [check(name, "error", `${label} does not answer: ${why}`, hint)];
}

function wayBack({ state, choice }: ExaminedEndpoint, serving: string): DoctorCheck {
  const { name, model } = state.identity;
  const { targets, passedOver } = choice;
  const [target] = targets;
  if (target === undefined) {
    const looked = passedOver.map(({ version, why }) => `${version}: ${why}`).join("; ");
    return check(
      `rollback of ${name}`,
      state.revisions.length === 1 ? "note" : "warning",
      `serves ${serving}; no way back${looked === "" ? "" : ` (${looked})`}`,
      `register and deploy a version that works: \`lastgood deploy ${model}@<version> --to ${name}\``,
    );
  }
  const how = target.warm ? "warm, in milliseconds" : "cold: hashed, loaded and checked on the way";
  return check(
    `rollback of ${name}`,
    "ok",
    `would go from ${serving} to ${versionLabel(target.version)} (${target.why}; ${how})`,
    null,
  );
}
