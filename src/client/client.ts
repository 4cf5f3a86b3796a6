import * as z from "zod";

import type {
  aliasBodySchema,
  applyPolicyBodySchema,
  archiveBodySchema,
  collectBodySchema,
  deployBodySchema,
  feedbackItemSchema,
  markBodySchema,
  registerBodySchema,
  reinstateBodySchema,
  rollbackBodySchema,
  rolloutCommandSchema,
  tagBodySchema,
} from "../core/api/index.ts";
import {
  appliedPolicySchema,
  blobLimitSchema,
  blobSchema,
  collectedSchema,
  deployedSchema,
  diffSchema,
  doctorSchema,
  endpointTrafficSchema,
  endpointViewSchema,
  evidencePageSchema,
  feedbackTakenSchema,
  historySchema,
  historyVerifiedSchema,
  incidentSchema,
  incidentsSchema,
  markedSchema,
  modelSummarySchema,
  policyViewSchema,
  registeredSchema,
  rolledBackSchema,
  rolloutAnswerSchema,
  statusSchema,
  versionSummarySchema,
  versionViewSchema,
  type AppliedPolicy,
  type Blob as StoredBlob,
  type Collected,
  type Deployed,
  type Diff,
  type Doctor,
  type EndpointTraffic,
  type EndpointView,
  type EvidencePage,
  type FeedbackTaken,
  type History,
  type HistoryEntry,
  type HistoryVerified,
  type Incident,
  type Incidents,
  type Marked,
  type ModelSummary,
  type PolicyView,
  type Registered,
  type RolledBack,
  type RolloutAnswer,
  type Status,
  type VersionSummary,
  type VersionView,
} from "../core/api/index.ts";
import { modelNameSchema } from "../core/version/index.ts";
import { readEvents } from "./events.ts";
import type { Fetch } from "./fetch.ts";
import { Transport, type RetryOptions } from "./transport.ts";

/** Where the server is and how to speak to it. */
export interface ClientOptions {
  /** For example `http://127.0.0.1:5000`. */
  readonly url: string;
  readonly token?: string | undefined;
  /** @default the platform's own */
  readonly fetch?: Fetch;
  /** @default no repetition */
  readonly retry?: RetryOptions;
}

const resolvedSchema = z.object({ model: modelNameSchema, version: versionViewSchema.nullable() });

/** What a version reference stands for. */
export type Resolved = z.infer<typeof resolvedSchema>;

/**
 * A server's API, one method per operation. Fields with a default may be left out of a body; answers
 * are checked against the API's schemas.
 * Every method throws the server's own `LastgoodError`, or `server.unreachable`.
 */
export class LastgoodClient {
  readonly url: string;
  readonly #transport: Transport;
  readonly #fetch: Fetch;

  constructor(options: ClientOptions) {
    this.url = options.url;
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#transport = new Transport({
      url: options.url,
      token: options.token,
      fetch: this.#fetch,
      retry: options.retry ?? { forMs: 0, whenRefused: false },
    });
  }

  /** True when the server's process answers within `timeoutMs`. */
  answers(timeoutMs: number): Promise<boolean> {
    return this.#isOk("/healthz", timeoutMs);
  }

  /** True when the server answers and each endpoint's current revision is loaded and routed. */
  isReady(timeoutMs: number): Promise<boolean> {
    return this.#isOk("/readyz", timeoutMs);
  }

  models(): Promise<ModelSummary[]> {
    return this.#get(z.array(modelSummarySchema), "/models");
  }

  /** By sequence number, the oldest first; those beyond `after`, at most `limit` of them. */
  versions(
    model: string,
    page: { readonly after?: number; readonly limit?: number } = {},
  ): Promise<VersionSummary[]> {
    return this.#get(z.array(versionSummarySchema), `/models/${part(model)}/versions`, page);
  }

  /** `selector` is a name, a sequence number or `@alias`. */
  version(model: string, selector: string): Promise<VersionView> {
    return this.#get(versionViewSchema, versionPath(model, selector));
  }

  /** Longest file that the server takes, bytes. */
  async maxFileBytes(): Promise<number> {
    return (await this.#get(blobLimitSchema, "/blobs")).maxFileBytes;
  }

  /** Stores bytes under their digest; a version is then registered of them. */
  upload(bytes: Blob | Uint8Array<ArrayBuffer>): Promise<StoredBlob> {
    return this.#transport.json(blobSchema, { method: "POST", path: `${ROOT}/blobs`, bytes });
  }

  register(model: string, body: z.input<typeof registerBodySchema>): Promise<Registered> {
    return this.#post(registeredSchema, `/models/${part(model)}/versions`, body);
  }

  tag(
    model: string,
    selector: string,
    body: z.input<typeof tagBodySchema>,
  ): Promise<VersionSummary> {
    return this.#post(versionSummarySchema, `${versionPath(model, selector)}/tags`, body);
  }

  setAlias(
    model: string,
    alias: string,
    body: z.input<typeof aliasBodySchema>,
  ): Promise<VersionSummary> {
    return this.#transport.json(versionSummarySchema, {
      method: "PUT",
      path: `${ROOT}/models/${part(model)}/aliases/${part(alias)}`,
      body,
    });
  }

  async deleteAlias(model: string, alias: string, actor: string): Promise<void> {
    await this.#transport.stream({
      method: "DELETE",
      path: `${ROOT}/models/${part(model)}/aliases/${part(alias)}`,
      body: { actor },
    });
  }

  mark(model: string, selector: string, body: z.input<typeof markBodySchema>): Promise<Marked> {
    return this.#post(markedSchema, `${versionPath(model, selector)}/mark`, body);
  }

  archive(
    model: string,
    selector: string,
    body: z.input<typeof archiveBodySchema>,
  ): Promise<VersionSummary> {
    return this.#post(versionSummarySchema, `${versionPath(model, selector)}/archive`, body);
  }

  diff(model: string, left: string, right: string): Promise<Diff> {
    return this.#get(diffSchema, `/models/${part(model)}/diff`, { left, right });
  }

  /** What a reference such as `fraud@v1.1` or `models:/fraud/2` stands for. */
  resolve(reference: string): Promise<Resolved> {
    return this.#post(resolvedSchema, "/resolve", { reference });
  }

  deploy(body: z.input<typeof deployBodySchema>, signal?: AbortSignal): Promise<Deployed> {
    return this.#post(deployedSchema, "/deploy", body, signal);
  }

  /** `key`: under which it is done once, also where it is asked of a gateway afterwards; else a new one. */
  rollback(
    body: z.input<typeof rollbackBodySchema>,
    signal?: AbortSignal,
    key?: string,
  ): Promise<RolledBack> {
    const headers = key === undefined ? {} : { "idempotency-key": key };
    const call = { method: "POST", path: `${ROOT}/rollback`, body, signal, headers } as const;
    return this.#transport.json(rolledBackSchema, call);
  }

  reinstate(body: z.input<typeof reinstateBodySchema>): Promise<RolledBack> {
    return this.#post(rolledBackSchema, "/reinstate", body);
  }

  /** Steers a rollout by hand: set-weight, pause, resume, promote, abort. */
  steer(command: z.input<typeof rolloutCommandSchema>): Promise<RolloutAnswer> {
    return this.#post(rolloutAnswerSchema, "/rollout", command);
  }

  /** Puts a policy in force at the endpoint, which is made where there is none yet. */
  applyPolicy(
    endpoint: string,
    body: z.input<typeof applyPolicyBodySchema>,
  ): Promise<AppliedPolicy> {
    return this.#transport.json(appliedPolicySchema, {
      method: "PUT",
      path: `${ROOT}/endpoints/${part(endpoint)}/policy`,
      body,
    });
  }

  /** The policy in force. A null endpoint is the only one there is. */
  policy(endpoint: string | null): Promise<PolicyView> {
    return this.#get(policyViewSchema, "/policy", { endpoint });
  }

  /** A null endpoint is the only one there is. */
  rollout(endpoint: string | null): Promise<RolloutAnswer> {
    return this.#get(rolloutAnswerSchema, "/rollout", { endpoint });
  }

  status(): Promise<Status> {
    return this.#get(statusSchema, "/status");
  }

  endpoint(name: string): Promise<EndpointView> {
    return this.#get(endpointViewSchema, `/endpoints/${part(name)}`);
  }

  /** Entries after the sequence number `after`, the oldest first. A null endpoint is the only one. */
  history(
    endpoint: string | null,
    page: { readonly after?: number; readonly limit?: number } = {},
  ): Promise<History> {
    const path = endpoint === null ? "/history" : `/endpoints/${part(endpoint)}/history`;
    return this.#get(historySchema, path, page);
  }

  /** Recomputes the hash chain; `expect` is a head noted down earlier. */
  verifyHistory(endpoint: string | null, expect: string | null): Promise<HistoryVerified> {
    return this.#get(historyVerifiedSchema, "/history/verify", { endpoint, expect });
  }

  /** Rollbacks, the newest first; of all endpoints where none is named. */
  incidents(endpoint: string | null): Promise<Incidents> {
    return this.#get(incidentsSchema, "/incidents", { endpoint });
  }

  /** By the id of a rollback or of its rollout, or the beginning of one. */
  incident(id: string): Promise<Incident> {
    return this.#get(incidentSchema, `/incidents/${part(id)}`);
  }

  /** A page of what a rollout was judged by; `cursor` is the last page's `next`. */
  evidence(id: string, cursor: string | null = null): Promise<EvidencePage> {
    return this.#get(evidencePageSchema, `/evidence/${part(id)}`, { cursor });
  }

  /** What the stable revision did at rest. A null endpoint is the only one there is. */
  traffic(endpoint: string | null): Promise<EndpointTraffic> {
    return this.#get(endpointTrafficSchema, "/traffic", { endpoint });
  }

  /** Tells what is known of predictions, by the request ids of their answers. */
  feedback(items: readonly z.input<typeof feedbackItemSchema>[]): Promise<FeedbackTaken> {
    return this.#post(feedbackTakenSchema, "/feedback", items);
  }

  /** The same as a CSV text: the columns `request_id` and one of `label`, `correct` and `score`. */
  feedbackCsv(text: string): Promise<FeedbackTaken> {
    const bytes = new TextEncoder().encode(text);
    const path = `${ROOT}/feedback`;
    const call = { method: "POST", path, bytes, contentType: "text/csv" } as const;
    return this.#transport.json(feedbackTakenSchema, call);
  }

  /** Removes what no version within reach of a rollback needs; with `dryRun` says what that is. */
  gc(body: z.input<typeof collectBodySchema>): Promise<Collected> {
    return this.#post(collectedSchema, "/gc", body);
  }

  doctor(): Promise<Doctor> {
    return this.#get(doctorSchema, "/doctor");
  }

  /**
   * New history entries of all endpoints as they are written, until the signal aborts or the
   * connection ends. `after` is the `<endpoint>:<sequence>` of the last one seen.
   */
  async *events(
    options: { readonly after?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<HistoryEntry, void> {
    const response = await this.#transport.stream({
      method: "GET",
      path: `${ROOT}/events`,
      signal: options.signal,
      headers: {
        accept: "text/event-stream",
        ...(options.after === undefined ? {} : { "last-event-id": options.after }),
      },
    });
    yield* readEvents(response);
  }

  async #isOk(path: string, timeoutMs: number): Promise<boolean> {
    try {
      const address = `${this.url.replace(/\/+$/, "")}${path}`;
      const response = await this.#fetch(address, { signal: AbortSignal.timeout(timeoutMs) });
      await response.text();
      return response.ok;
    } catch {
      return false;
    }
  }

  #get<S extends z.ZodType>(
    schema: S,
    path: string,
    query: Readonly<Record<string, string | number | null | undefined>> = {},
  ): Promise<z.infer<S>> {
    return this.#transport.json(schema, { method: "GET", path: `${ROOT}${path}`, query });
  }

  #post<S extends z.ZodType>(
    schema: S,
    path: string,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<z.infer<S>> {
    return this.#transport.json(schema, { method: "POST", path: `${ROOT}${path}`, body, signal });
  }
}

const ROOT = "/api/v1";

/** A name as one segment of a path; `.` and `..` would be resolved away, however encoded. */
function part(name: string): string {
  return name === "." || name === ".." ? name.replaceAll(".", "%252E") : encodeURIComponent(name);
}

function versionPath(model: string, selector: string): string {
  return `/models/${part(model)}/versions/${part(selector)}`;
}
