import { fileURLToPath } from "node:url";

import type { LastgoodClient } from "../../client/index.ts";
import type { EndpointView } from "../../core/api/index.ts";
import { defaultEndpointName } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { parseVersionReference, versionLabel } from "../../core/version/index.ts";
import { modelNameOf, readModel, registerModel } from "../model-folder/index.ts";
import type { ServerFile } from "../supervise/index.ts";
import type { Session } from "./session.ts";
import { slowSteps } from "./slow-steps.ts";

/** What `serve -m` did to the endpoint. */
export interface SwitchedModel {
  readonly endpoint: string;
  readonly version: string;
  readonly by: "none" | "deploy" | "rollback";
  readonly switchMs: number | null;
  readonly failedRequests: number | null;
  readonly verified: boolean;
}

/** What `serve -m` was given: a registered version, or a model's file or folder on this machine. */
export type ServedModel =
  | { readonly kind: "version"; readonly model: string; readonly reference: string }
  | { readonly kind: "path"; readonly model: string; readonly path: string };

/**
 * What a reference names, told without a server. A path begins with `/`, `./`, `../` or `file:`, or
 * ends in `.onnx`.
 * @throws `reference.invalid`, with what to write instead.
 */
export function servedModel(given: string): ServedModel {
  if (/^(\.{0,2}\/|file:)|^\.{1,2}$|\.onnx$/.test(given)) {
    const path = given.startsWith("file:") ? fileURLToPath(new URL(given)) : given;
    return { kind: "path", model: modelNameOf(path), path };
  }
  const { model, selector } = parseVersionReference(given, []);
  if (selector === null) {
    throw new LastgoodError("reference.invalid", `"${given}" names no version`, {
      hint: `for example models:/${model}/1 or ${model}@v1.0; of a folder here: ./${given}`,
    });
  }
  return { kind: "version", model, reference: given };
}

/** Registers what lies at a path, where these bytes are not registered yet, and gives its reference. */
export async function registerServed(
  session: Session,
  client: LastgoodClient,
  { model, path }: ServedModel & { readonly kind: "path" },
): Promise<string> {
  const actor = await session.actor();
  const said = { name: null, metrics: {}, params: {}, tags: {}, lineage: {}, actor };
  const found = await readModel(path);
  const { version, notes } = await registerModel(
    client,
    { model, found, said },
    slowSteps(session.terminal),
  );
  session.terminal.note(...notes.map((note) => `note: ${note}`));
  return `${model}@${version.sequence}`;
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
