import { request } from "node:http";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Probed } from "../../link/message/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import type { GrpcProtocol, ScoringProtocol } from "../protocol/index.ts";
import { monotonic } from "./clock.ts";
import { PROBE_HEADER, probeHeader } from "./probe-header.ts";
import { grpcProbeRequest, probeRequest, type ProbeRequest } from "./probe-request.ts";

const PROBE_TIMEOUT_MS = 5_000;
/** Which worker answers is the kernel's choice; so many connections per worker find all but surely. */
const TRIES_PER_WORKER = 6;

/** Where and with what to probe. */
export interface ProbeOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly endpoint: string;
  readonly revision: RouteRevision;
  readonly apart: boolean;
  /** Over HTTP. */
  readonly protocols: readonly ScoringProtocol[];
  /** Null where gRPC is not in use. */
  readonly grpc: { readonly protocol: GrpcProtocol; readonly port: number } | null;
  /** A path of the revision's own, where its requests are passed on unread; else null. */
  readonly passedPath: string | null;
  /** Numbers of the workers that listen: a probe tries to hear from each. */
  readonly workers: readonly number[];
}

type Outcome = Probed["probes"][number];

interface Answer {
  readonly isOk: boolean;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

type Ask = (asked: ProbeRequest) => Promise<Answer>;

/** One request over a TCP connection of its own, through the public port. */
function ask(
  options: ProbeOptions,
  asked: ProbeRequest | { readonly path: string },
): Promise<Answer> {
  const { port, token, revision } = options;
  const body = "body" in asked ? asked.body : null;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: dialled(options.host),
        port,
        path: asked.path,
        method: body === null ? "GET" : "POST",
        agent: false,
        timeout: PROBE_TIMEOUT_MS,
        headers: {
          ...("headers" in asked ? asked.headers : {}),
          ...(body === null ? {} : { "content-length": body.length }),
          [PROBE_HEADER]: probeHeader(token, { revision: revision.revision, apart: options.apart }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            isOk: response.statusCode === 200,
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    outgoing.on("timeout", () =>
      outgoing.destroy(new Error(`no answer within ${PROBE_TIMEOUT_MS} ms`)),
    );
    outgoing.on("error", reject);
    outgoing.end(body ?? undefined);
  });
}

/** The same over gRPC. */
async function askGrpc(
  { host, token, revision, apart }: ProbeOptions,
  port: number,
  { path, headers, body }: ProbeRequest,
): Promise<Answer> {
  const { callGrpc } = await import("./grpc-probe.ts");
  const name = dialled(host);
  const answer = await callGrpc({
    address: `${name.includes(":") ? `[${name}]` : name}:${port}`,
    path,
    message: body,
    headers: {
      ...headers,
      [PROBE_HEADER]: probeHeader(token, { revision: revision.revision, apart }),
    },
    timeoutMs: PROBE_TIMEOUT_MS,
  });
  return { ...answer, isOk: answer.status === 0, body: answer.message };
}

/** An address that listens on everything is dialled on the loopback. */
function dialled(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function header(answer: Answer, name: string): string | null {
  const value = answer.headers[name];
  return typeof value === "string" ? value : null;
}

function judge(answer: Answer, revision: RouteRevision, asked: ProbeRequest): string | null {
  const by = header(answer, "x-lastgood-revision");
  if (by !== String(revision.revision))
    return `answered by revision ${by ?? "unknown"}, status ${answer.status}`;
  if (!answer.isOk) return `status ${answer.status}: ${answer.body.toString().slice(0, 200)}`;
  const difference = asked.difference(answer.body);
  return difference === null ? null : `golden sample: ${difference}`;
}

interface Probing {
  readonly options: ProbeOptions;
  readonly protocol: string;
  readonly ask: Ask;
}

async function probeOnce(
  { options, protocol, ask: send }: Probing,
  asked: ProbeRequest,
): Promise<{ readonly outcome: Outcome; readonly worker: number | null }> {
  const startedAt = monotonic();
  const ms = (): number => monotonic() - startedAt;
  try {
    const answer = await send(asked);
    const why = judge(answer, options.revision, asked);
    const by = Number(header(answer, "x-lastgood-revision") ?? Number.NaN);
    // A letter after the worker's number says that it was a probe.
    const field = header(answer, "x-lastgood-request-id")?.split(".").at(-3) ?? "";
    const worker = Number.parseInt(field, 10);
    return {
      worker: Number.isInteger(worker) ? worker : null,
      outcome: {
        protocol,
        ok: why === null,
        status: answer.status,
        answeredBy: Number.isInteger(by) ? by : null,
        ms: ms(),
        why,
      },
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const outcome = { protocol, ok: false, status: null, answeredBy: null, ms: ms(), why };
    return { worker: null, outcome };
  }
}

/** Probes until every worker has answered, or the tries are used up; the first failure ends it. */
async function probeWorkers(probing: Probing, asked: ProbeRequest): Promise<Outcome> {
  const { workers } = probing.options;
  const unheard = new Set(workers);
  let last = await probeOnce(probing, asked);
  for (let tries = workers.length * TRIES_PER_WORKER; tries > 0; tries -= 1) {
    if (last.worker !== null) unheard.delete(last.worker);
    if (!last.outcome.ok || unheard.size === 0) break;
    last = await probeOnce(probing, asked);
  }
  return last.outcome;
}

async function probeReadiness(options: ProbeOptions): Promise<Outcome> {
  const startedAt = monotonic();
  const outcome = { protocol: "oip", answeredBy: null };
  try {
    const path = `/v2/models/${encodeURIComponent(options.endpoint)}/ready`;
    const { status } = await ask(options, { path });
    const why = status === 200 ? null : `not ready: status ${status}`;
    return { ...outcome, ok: why === null, status, ms: monotonic() - startedAt, why };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ...outcome, ok: false, status: null, ms: monotonic() - startedAt, why };
  }
}

/** Nothing of the answer is known but that it must be the revision's, and no failure. */
async function probePassed(options: ProbeOptions, path: string): Promise<Outcome> {
  const send = async (asked: ProbeRequest): Promise<Answer> => {
    const answer = await ask(options, { path: asked.path });
    return { ...answer, isOk: answer.status > 0 && answer.status < 500 };
  };
  const asked = { path, headers: {}, body: Buffer.alloc(0), difference: () => null };
  return probeWorkers({ options, protocol: "passthrough", ask: send }, asked);
}

async function probeProtocol(
  probing: Probing,
  prepare: () => ProbeRequest | null,
): Promise<Outcome> {
  const { options, protocol } = probing;
  try {
    const asked = prepare();
    return asked === null ? await probeReadiness(options) : await probeWorkers(probing, asked);
  } catch (error) {
    const why = LastgoodError.from(error).message;
    return { protocol, ok: false, status: null, answeredBy: null, ms: 0, why };
  }
}

/**
 * One verification through the public ports in each of the protocols: a golden sample over new TCP
 * connections must be answered by the wanted revision with the recorded outputs. A revision without
 * samples is asked for its readiness.
 */
export async function probeEndpoint(options: ProbeOptions): Promise<Probed> {
  const { endpoint, revision, protocols, grpc, passedPath } = options;
  const probes: Outcome[] = [];
  if (passedPath !== null) {
    const outcome = await probePassed(options, `/endpoints/${endpoint}${passedPath}`);
    return { ok: outcome.ok, probes: [outcome] };
  }
  for (const protocol of protocols) {
    const probing = { options, protocol: protocol.name, ask: ask.bind(null, options) };
    const prepare = (): ProbeRequest | null => probeRequest(protocol, endpoint, revision);
    probes.push(await probeProtocol(probing, prepare));
  }
  if (grpc !== null) {
    const { protocol, port } = grpc;
    const probing = { options, protocol: protocol.name, ask: askGrpc.bind(null, options, port) };
    const prepare = (): ProbeRequest | null => grpcProbeRequest(protocol, endpoint, revision);
    probes.push(await probeProtocol(probing, prepare));
  }
  return { ok: probes.every((probe) => probe.ok), probes };
}
