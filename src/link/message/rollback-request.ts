import type * as z from "zod";

import type { RollbackBody } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { GATEWAY_REQUESTS } from "./message.ts";

/** What a gateway is asked to roll back by itself. */
export type RollbackRequest = z.infer<(typeof GATEWAY_REQUESTS)["gateway.rollback"]>;

/**
 * A person's rollback as a gateway understands it, with nothing of it left out: a gateway would not
 * miss what it is not told, and go to another version than was asked for.
 * @param without What is not there: "the control plane", or the store behind it, and why.
 * @throws `target.unproven` for what only the control plane can do.
 */
export function rollbackRequest(body: RollbackBody, without: string): RollbackRequest {
  if (body.force || body.toRevision !== null) {
    const option = body.force ? "--force" : "--to-revision";
    throw new LastgoodError("target.unproven", `${option} needs ${without}`, {
      hint: "a gateway alone goes to a proven target: leave the option out, or name a --version that is one",
    });
  }
  const { endpoint, version, ifCurrent, actor, reason, keepStatus, again, dryRun } = body;
  return {
    endpoint,
    version: version === null ? null : gatewaySpelling(version),
    ifCurrent: ifCurrent === null ? null : gatewaySpelling(ifCurrent),
    actor,
    reason,
    keepStatus,
    again,
    dryRun,
  };
}

/**
 * A reference in the one spelling that every gateway reads: `models:/fraud/v1.0` and `fraud:v1.0` are
 * `fraud@v1.0` to it. It knows no aliases: they stay what they are, and name nothing there.
 */
function gatewaySpelling(reference: string): string {
  const [, model, version] =
    /^models:\/([^/@]+)[/@](.+)$/.exec(reference) ?? /^([^/@:]+)[@:](.+)$/.exec(reference) ?? [];
  return model === undefined || version === undefined ? reference : `${model}@${version}`;
}
