import { randomUUID } from "node:crypto";
import { join } from "node:path";

import type { LastgoodClient } from "../../client/index.ts";
import type { RollbackBody, RolledBack } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  gatewayRolledBackSchema,
  rollbackRequest,
  type GatewayRolledBack,
} from "../../link/message/index.ts";
import { connectPeer, ownIdentity, type Peer } from "../../link/peer/index.ts";
import type { Session } from "./session.ts";

/** Longest wait for a sign of life of the API before the gateway is asked, ms. */
const API_ANSWERS_MS = 1_000;
/** How long an API that went away in the middle is waited for: it is being started again, ms. */
const API_RETURNS_MS = 5_000;
const WATCH_EVERY_MS = 500;
const GATEWAY_MS = 60_000;

/**
 * Rolls back through the API, and through the gateway's own socket where the API gives no sign of
 * life for 1 s, or `direct` says so (DESIGN.md section 3).
 * @throws the refusal of whoever was asked; `server.unreachable` when neither is there.
 */
export async function rollBack(
  session: Session,
  body: RollbackBody,
  options: { readonly direct: boolean },
): Promise<RolledBack> {
  // The gateway may be asked for what the API has begun: under one key it is done once.
  const key = randomUUID();
  if (options.direct) return viaGateway(session, body, key);
  const retry = { forMs: API_RETURNS_MS, whenRefused: false };
  const { client, server } = await session.connect(retry);
  if (server === null) return client.rollback(body);
  if (!(await client.answers(API_ANSWERS_MS))) {
    session.terminal.note("the control plane does not answer; asking the gateway itself");
    return viaGateway(session, body, key);
  }
  const result = await whileAlive(client, (signal) => client.rollback(body, signal, key));
  if (result !== null) return result;
  session.terminal.note("the control plane went away; asking the gateway itself");
  return viaGateway(session, body, key);
}

/**
 * The call's answer, or null when the API fell silent: it is watched while the call runs, because a
 * stopped process keeps its connections open. One that returns in time is asked again by the client.
 */
async function whileAlive(
  client: LastgoodClient,
  call: (signal: AbortSignal) => Promise<RolledBack>,
): Promise<RolledBack | null> {
  const silence = new AbortController();
  let lastSign = performance.now();
  let isAsking = false;
  const watch = setInterval(() => {
    if (performance.now() - lastSign > API_RETURNS_MS) silence.abort();
    if (isAsking) return;
    isAsking = true;
    void client.answers(API_ANSWERS_MS).then((answers) => {
      isAsking = false;
      if (answers) lastSign = performance.now();
    });
  }, WATCH_EVERY_MS);
  try {
    return await call(silence.signal);
  } catch (error) {
    const isGone = error instanceof LastgoodError && error.code === "server.unreachable";
    if (silence.signal.aborted || isGone) return null;
    throw error;
  } finally {
    clearInterval(watch);
  }
}

async function viaGateway(session: Session, body: RollbackBody, key: string): Promise<RolledBack> {
  const gatewayBody = { ...rollbackRequest(body, "the control plane"), key };
  const peer = await dialGateway(session);
  try {
    const frame = await peer.request("gateway.rollback", gatewayBody, { timeoutMs: GATEWAY_MS });
    return fromGateway(gatewayRolledBackSchema.parse(frame.body), body);
  } finally {
    peer.close();
  }
}

function onRequest(): never {
  throw new LastgoodError("link.invalid", "the command line answers no requests");
}

async function dialGateway(session: Session): Promise<Peer> {
  const server = await session.serverFile();
  if (server === null) {
    throw new LastgoodError(
      "server.unreachable",
      `no server runs on the data folder ${await session.required("dataDir")}`,
      { hint: "--direct works on the server's machine: name its folder with --data-dir" },
    );
  }
  const self = ownIdentity("cli", server.version, server.dataDir);
  return connectPeer(join(server.socketFolder, "gateway.sock"), { self, onRequest });
}

const NOT_MEASURED = {
  verified: null,
  durable: null,
  switchMs: null,
  lastOldAdmittedMs: null,
  lastOldResponseMs: null,
  failedRequests: null,
} as const;

function fromGateway(answer: GatewayRolledBack, body: RollbackBody): RolledBack {
  const { override } = answer;
  return {
    endpoint: answer.endpoint,
    from: answer.from,
    to: answer.to,
    why: answer.why,
    passedOver: answer.passedOver,
    // A gateway on its own takes only what is loaded and proven.
    warm: true,
    via: "gateway",
    ...(override?.measured ?? NOT_MEASURED),
    trigger: body.trigger,
    actor: (override ?? body).actor,
    reason: (override ?? body).reason,
    at: override?.at ?? null,
    historyHead: null,
    dryRun: body.dryRun,
    already: answer.already,
    notes: [],
  };
}
