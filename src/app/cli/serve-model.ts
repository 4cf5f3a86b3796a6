import type { LastgoodClient } from "../../client/index.ts";
import type { EndpointView } from "../../core/api/index.ts";
import { defaultEndpointName } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { parseVersionReference, versionLabel } from "../../core/version/index.ts";
import type { ServerFile } from "../supervise/index.ts";
import type { Session } from "./session.ts";

/** What `serve -m` did to the endpoint. */
export interface SwitchedModel {
  readonly endpoint: string;
  readonly version: string;
  readonly by: "none" | "deploy" | "rollback";
  readonly switchMs: number | null;
  readonly failedRequests: number | null;
  readonly verified: boolean;
}

/**
 * The model a reference names, told without a server.
 * @throws `reference.invalid`, with what to write instead.
 */
export function modelOf(reference: string): string {
  if (/^(\.{0,2}\/|file:)|\.onnx$/.test(reference)) {
    throw new LastgoodError(
      "reference.invalid",
      `"${reference}" is a file, and serve -m takes a registered version`,
      {
        hint: "register it first: lastgood register iris ./model.onnx --version v1.0, then serve -m iris@v1.0",
      },
    );
  }
  const { model, selector } = parseVersionReference(reference, []);
  if (selector === null) {
    throw new LastgoodError("reference.invalid", `"${reference}" names no version`, {
      hint: `for example models:/${model}/1 or ${model}@v1.0`,
    });
  }
  return model;
}

/**
 * Brings the version onto the endpoint: nothing where it serves already, a rollback where it served
 * before, else a deploy without a bake (DESIGN.md section 5).
 */
export async function switchModel(
  session: Session,
  server: { readonly client: LastgoodClient; readonly file: ServerFile },
  wanted: { readonly reference: string; readonly endpoint: string | null },
): Promise<SwitchedModel> {
  const { client } = server;
  const { model, version } = await client.resolve(wanted.reference);
  if (version === null)
    throw new LastgoodError("version.not-found", `${model} has no such version`);
  const selector = version.name ?? String(version.sequence);
  const { endpoints } = await client.status();
  const found = choose(endpoints, model, wanted.endpoint ?? server.file.defaultEndpoint);
  const endpoint = wanted.endpoint ?? found?.name ?? defaultEndpointName(model, "production");
  const actor = await session.actor();
  const reason = `serve -m ${wanted.reference}`;
  const label = `${model}@${versionLabel(version)}`;
  if (found?.current?.digest === version.digest && found.rollout === null) {
    const nothing = { by: "none", switchMs: null, failedRequests: null, verified: true } as const;
    return { endpoint, version: label, ...nothing };
  }
  const wasServed =
    found?.revisions.some((revision) => revision.digest === version.digest) ?? false;
  if (found !== null && wasServed) {
    const back = await client.rollback({
      endpoint,
      version: selector,
      // Serving another one for a while is no verdict on this one: it can be typed again.
      keepStatus: true,
      reason,
      actor,
    });
    const { switchMs, failedRequests } = back;
    const verified = back.verified === true;
    return { endpoint, version: label, by: "rollback", switchMs, failedRequests, verified };
  }
  const deployed = await client.deploy({
    reference: `${model}@${selector}`,
    endpoint,
    bakeMs: 0,
    replace: true,
    reason,
    actor,
  });
  const { switchMs, failedRequests, verified } = deployed;
  return { endpoint, version: label, by: "deploy", switchMs, failedRequests, verified };
}

/** The endpoint that bare requests reach, where it serves the model; else the model's only one. */
function choose(
  endpoints: readonly EndpointView[],
  model: string,
  preferred: string | null,
): EndpointView | null {
  const named = endpoints.find((endpoint) => endpoint.name === preferred);
  if (named?.model === model) return named;
  const serving = endpoints.filter((endpoint) => endpoint.model === model);
  return serving.length === 1 ? (serving[0] ?? null) : null;
}
