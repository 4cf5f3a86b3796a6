import type { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Timers } from "../../core/time/index.ts";
import type { Count, Evidence } from "../../link/count/index.ts";
import {
  CONTROL_REQUESTS,
  type GATEWAY_REQUESTS,
  gatewayRolledBackSchema,
  inspectedSchema,
  probedSchema,
  routeAcknowledgedSchema,
  routeDrainedSchema,
  type GatewayRolledBack,
  type GatewayStatus,
  type Inspected,
  type Probed,
  type RevisionState,
  type RollbackRequest,
  type RouteDrained,
} from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import {
  listenPeers,
  type Frame,
  type ListenPeers,
  type PeerEnd,
  type PeerIdentity,
  type PeerListener,
  type Reply,
} from "../../link/peer/index.ts";
import type { Route } from "../../link/route/index.ts";
import { systemTimers } from "../../link/timer/index.ts";
import {
  combineDrained,
  combineProbed,
  combinePublished,
  type GatewayAnswer,
  type Published,
} from "./combine.ts";
import { RevisionStates, type RevisionKey } from "./revision-states.ts";

/** Longest waits for an answer of a gateway, ms. */
export interface LinkLimits {
  /** Beyond the time the route itself lets requests be held. */
  readonly publishMs: number;
  readonly probeMs: number;
  readonly inspectMs: number;
  readonly rollbackMs: number;
  /** For a gateway that is being started (again). */
  readonly arriveMs: number;
  /** Beyond the time the drain itself may take. */
  readonly drainedMs: number;
}

const DEFAULT_LIMITS: LinkLimits = {
  publishMs: 15_000,
  probeMs: 15_000,
  inspectMs: 300_000,
  rollbackMs: 30_000,
  arriveMs: 5_000,
  drainedMs: 2_000,
};

/** A gateway that is connected now. */
export interface ConnectedGateway {
  readonly gateway: string;
  readonly incarnation: string;
  readonly pid: number;
  readonly workers: number;
  readonly serveAddress: string;
}

/** What is done with what gateways and the supervisor say. */
export interface LinkHandlers {
  /** A gateway came (again). Its overrides are taken in here; it is answered once this resolves. */
  readonly onConnected: (status: GatewayStatus) => Promise<void> | void;
  readonly onRevisionState: (state: RevisionState, gateway: string) => Promise<void> | void;
  /** Acknowledged to the gateway only after this resolves; it may come more than once. */
  readonly onOverride: (override: Override, gateway: string) => Promise<void>;
  readonly onCounts: (counts: readonly Count[], gateway: string) => Promise<void> | void;
  /** Acknowledged to the gateway only after this resolves; it may come more than once. */
  readonly onEvidence: (evidence: readonly Evidence[], gateway: string) => Promise<void>;
  readonly onGone: (gateway: string) => void;
  /** The supervisor asks for an orderly end. */
  readonly onShutdown: () => void;
  /** Something that came was not understood or not taken; for the log, its sender may not wait. */
  readonly onRefused: (kind: string, error: LastgoodError) => void;
}

interface Connection {
  readonly peer: PeerEnd;
  readonly status: GatewayStatus;
}

type InspectRequest = z.input<(typeof GATEWAY_REQUESTS)["version.inspect"]>;
type DrainedRequest = z.input<(typeof GATEWAY_REQUESTS)["route.drained"]>;

function invalid(what: string, error: z.ZodError): LastgoodError {
  const first = error.issues[0];
  const where = first === undefined || first.path.length === 0 ? "" : ` at ${first.path.join(".")}`;
  return new LastgoodError("link.invalid", `${what} was not understood${where}`, {
    details: { issues: error.issues.slice(0, 5).map((issue) => issue.message) },
  });
}

function parse<T extends z.ZodType>(what: string, schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalid(what, parsed.error);
  return parsed.data;
}

/**
 * The control plane's end of the link: every gateway that is connected, what it last said, and
 * requests to them, each with a time limit. Gateways dial in; the end of a connection is the end of
 * its gateway.
 */
export class Gateways {
  readonly #limits: LinkLimits;
  readonly #connections = new Map<string, Connection>();
  readonly #states: RevisionStates;
  readonly #listenPeers: ListenPeers;
  readonly #timers: Timers;
  /** Whoever waits for a gateway. */
  readonly #arrivals = new Set<() => void>();
  #handlers: LinkHandlers | null = null;
  #listener: PeerListener | null = null;

  constructor(
    limits: Partial<LinkLimits> = {},
    around: { readonly listen: ListenPeers; readonly timers: Timers } = {
      listen: listenPeers,
      timers: systemTimers,
    },
  ) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#listenPeers = around.listen;
    this.#timers = around.timers;
    this.#states = new RevisionStates(around.timers);
  }

  /** Takes connections on the Unix socket from now on. */
  async listen(path: string, self: PeerIdentity, handlers: LinkHandlers): Promise<void> {
    this.#handlers = handlers;
    const onRequest = async (frame: Frame, peer: PeerEnd): Promise<Reply> => {
      try {
        return await this.#answer(frame, peer);
      } catch (error) {
        this.#handlers?.onRefused(frame.kind, LastgoodError.from(error));
        throw error;
      }
    };
    this.#listener = await this.#listenPeers(path, { self, onRequest }, (peer) =>
      this.#watch(peer),
    );
  }

  /** Ends every connection; no handler is called from now on. */
  async close(): Promise<void> {
    this.#handlers = null;
    for (const arrived of this.#arrivals) arrived();
    await this.#listener?.close();
    this.#listener = null;
  }

  /** The gateways connected now. */
  connected(): readonly ConnectedGateway[] {
    return [...this.#connections.values()].map(({ peer, status }) => ({
      gateway: status.gateway,
      incarnation: status.incarnation,
      pid: peer.other.pid,
      workers: status.workers,
      serveAddress: status.serveAddress,
    }));
  }

  /**
   * State of a revision over all gateways: the least advanced one's, so `ready` is ready
   * everywhere; null where a gateway has said nothing of it, or none is connected.
   */
  revisionState(key: RevisionKey): RevisionState | null {
    return this.#states.over(key, [...this.#connections.keys()]);
  }

  /** What every gateway last said of every revision. */
  revisionStates(): readonly RevisionState[] {
    return this.#states.all();
  }

  /** How long the managed server of a version took to start when it was last seen, ms; else null. */
  startedInMs(digest: string): number | null {
    return this.#states.startedInMs(digest);
  }

  /**
   * Waits until the revision is `ready` in every gateway or `failed` in one, and gives that state.
   * @throws `runtime.timeout` when neither came within `timeoutMs`.
   */
  whenSettled(key: RevisionKey, timeoutMs: number): Promise<RevisionState> {
    const settled = (): RevisionState | null => {
      const state = this.revisionState(key);
      return state !== null && (state.state === "ready" || state.state === "failed") ? state : null;
    };
    return this.#states.until(settled, timeoutMs, `revision ${key.revision} of ${key.endpoint}`);
  }

  /**
   * Gives every gateway the route and waits until each has swapped all its workers. Gateways that
   * did not answer are named in `failures`: the switch is complete only when there are none.
   * @throws `gateway.unavailable` when no gateway is connected; the gateway's own error when not
   * one of them took it.
   */
  async publish(route: Route): Promise<Published> {
    const timeoutMs = this.#limits.publishMs + (route.hold?.maxMs ?? 0);
    const answers = await this.#askAll(
      "route.publish",
      { route },
      routeAcknowledgedSchema,
      timeoutMs,
    );
    return combinePublished(route.order, answers);
  }

  /**
   * Waits until nothing is in flight on what left the split, or `timeoutMs` passes.
   * @throws `gateway.unavailable` when no gateway is connected.
   */
  async drained(request: DrainedRequest): Promise<RouteDrained> {
    const timeoutMs = request.timeoutMs + this.#limits.drainedMs;
    return combineDrained(
      await this.#askAll("route.drained", request, routeDrainedSchema, timeoutMs),
    );
  }

  /**
   * Probes the endpoint through every gateway's public port, in each protocol: what callers get, or
   * with `apart` the revision itself, whatever the split says.
   * @throws `gateway.unavailable` when no gateway is connected.
   */
  async probe(request: {
    readonly endpoint: string;
    readonly revision: number;
    readonly apart: boolean;
  }): Promise<Probed> {
    return combineProbed(
      await this.#askAll("endpoint.probe", request, probedSchema, this.#limits.probeMs),
    );
  }

  /**
   * Lets a gateway load and run a version to find out what it is; one that is just being started is
   * waited for.
   * @throws `gateway.unavailable` when no gateway is connected, or all went away meanwhile;
   * `artifact.invalid` and others as the gateway says.
   */
  async inspect(request: InspectRequest): Promise<Inspected> {
    await this.#arrival();
    for (const connection of this.#connections.values()) {
      try {
        // One after the other: the next is asked only when this one went away.
        return await this.#ask(connection, "version.inspect", request, {
          schema: inspectedSchema,
          timeoutMs: this.#limits.inspectMs,
        });
      } catch (error) {
        if (connection.peer.isOpen) throw error;
      }
    }
    throw noGateway("a version is checked by loading it in a gateway");
  }

  /**
   * Lets the gateways roll back on their own, without a route of ours; the override becomes known
   * here like any other. Gives the first answer.
   * @throws `gateway.unavailable` when no gateway is connected; the gateway's own refusal.
   */
  async rollback(request: RollbackRequest): Promise<GatewayRolledBack> {
    const answers = await this.#askAll(
      "gateway.rollback",
      request,
      gatewayRolledBackSchema,
      this.#limits.rollbackMs,
    );
    const first = answers.find((answer) => answer.ok);
    if (first?.ok !== true) throw noGateway("no gateway answered the rollback");
    return first.value;
  }

  /** Resolves once a gateway is connected, or has not come in time. */
  #arrival(): Promise<void> {
    if (this.#connections.size > 0) return Promise.resolve();
    return new Promise((resolve) => {
      const arrived = (): void => {
        cancel();
        this.#arrivals.delete(arrived);
        resolve();
      };
      const cancel = this.#timers.after(this.#limits.arriveMs, arrived);
      this.#arrivals.add(arrived);
    });
  }

  async #ask<T extends z.ZodType>(
    connection: Connection,
    kind: keyof typeof GATEWAY_REQUESTS,
    body: unknown,
    options: { readonly schema: T; readonly timeoutMs: number },
  ): Promise<z.output<T>> {
    const frame = await connection.peer.request(kind, body, { timeoutMs: options.timeoutMs });
    return parse(`the answer to ${kind}`, options.schema, frame.body);
  }

  /** Every gateway's answer; throws when there is no gateway, or not one of them succeeded. */
  async #askAll<T extends z.ZodType>(
    kind: keyof typeof GATEWAY_REQUESTS,
    body: unknown,
    schema: T,
    timeoutMs: number,
  ): Promise<readonly GatewayAnswer<z.output<T>>[]> {
    const connections = [...this.#connections.values()];
    if (connections.length === 0) throw noGateway(`${kind} needs one`);
    const settled = await Promise.allSettled(
      connections.map((connection) => this.#ask(connection, kind, body, { schema, timeoutMs })),
    );
    const answers = settled.map((result, index): GatewayAnswer<z.output<T>> => {
      const gateway = connections[index]?.status.gateway ?? "";
      return result.status === "fulfilled"
        ? { ok: true, gateway, value: result.value }
        : { ok: false, gateway, error: LastgoodError.from(result.reason) };
    });
    const failed = answers.find((answer) => !answer.ok);
    if (failed?.ok === false && !answers.some((answer) => answer.ok)) throw failed.error;
    return answers;
  }

  #watch(peer: PeerEnd): void {
    void peer.closed.then(() => {
      for (const [gateway, connection] of this.#connections) {
        if (connection.peer !== peer) continue;
        this.#connections.delete(gateway);
        this.#states.forget(gateway);
        this.#handlers?.onGone(gateway);
      }
    });
  }

  async #answer(frame: Frame, peer: PeerEnd): Promise<Reply> {
    if (frame.kind === "ping") return { body: {} };
    if (peer.other.role === "supervisor" && frame.kind === "shutdown") {
      // After the reply is on its way.
      setImmediate(() => this.#handlers?.onShutdown());
      return { body: {} };
    }
    if (peer.other.role === "gateway" && isControlRequest(frame.kind)) {
      await this.#fromGateway(frame.kind, frame.body, peer);
      return { body: {} };
    }
    throw new LastgoodError(
      "link.invalid",
      `the control plane does not answer "${frame.kind.slice(0, 80)}" of the ${peer.other.role}`,
    );
  }

  /** What is kept is kept at once, in the order of arrival; only handlers may take their time. */
  async #fromGateway(
    kind: keyof typeof CONTROL_REQUESTS,
    body: unknown,
    peer: PeerEnd,
  ): Promise<void> {
    if (kind === "gateway.connected") {
      const status = parse(kind, CONTROL_REQUESTS[kind], body);
      const before = this.#connections.get(status.gateway)?.peer;
      // It may introduce itself again.
      if (before !== peer) before?.close();
      this.#connections.set(status.gateway, { peer, status });
      this.#states.replace(status.gateway, status.revisions);
      for (const arrived of this.#arrivals) arrived();
      await this.#handlers?.onConnected(status);
      return;
    }
    const gateway = this.#nameOf(peer, kind);
    switch (kind) {
      case "revision.state": {
        const state = parse(kind, CONTROL_REQUESTS[kind], body);
        this.#states.set(gateway, state);
        await this.#handlers?.onRevisionState(state, gateway);
        return;
      }
      case "override.made":
        await this.#handlers?.onOverride(parse(kind, CONTROL_REQUESTS[kind], body), gateway);
        return;
      case "evidence":
        await this.#handlers?.onEvidence(
          parse(kind, CONTROL_REQUESTS[kind], body).evidence,
          gateway,
        );
        return;
      case "counts":
        await this.#handlers?.onCounts(parse(kind, CONTROL_REQUESTS[kind], body).counts, gateway);
        return;
    }
  }

  #nameOf(peer: PeerEnd, kind: string): string {
    for (const [gateway, connection] of this.#connections) {
      if (connection.peer === peer) return gateway;
    }
    throw new LastgoodError("link.invalid", `${kind} came before gateway.connected`);
  }
}

function isControlRequest(kind: string): kind is keyof typeof CONTROL_REQUESTS {
  return Object.hasOwn(CONTROL_REQUESTS, kind);
}

function noGateway(why: string): LastgoodError {
  return new LastgoodError("gateway.unavailable", `no gateway is connected: ${why}`, {
    hint: "the server starts one by itself; if this stays, look at its log and at lastgood doctor",
  });
}
