import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { PairTicket, RequestTicket } from "../evidence/index.ts";
import {
  ModelDied,
  UNLOADED,
  type Forwarded,
  type ForwardingClient,
  type ForwardRequest,
  type InferResult,
  type ModelAddress,
  type ModelClient,
} from "../runtime/index.ts";
import { monotonic } from "./clock.ts";
import type { CountCell } from "./count-book.ts";
import { Crowd, type CrowdRoom } from "./crowd.ts";
import { fingerprint } from "./fingerprint.ts";
import { Gate } from "./gate.ts";
import { Strikes } from "./strikes.ts";
import { NOT_ELSEWHERE, type SuspectDesk } from "./suspect-desk.ts";

/** Dials a loaded revision; the runtimes' rooms have one each. */
export type ConnectModel = (address: ModelAddress) => Promise<ModelClient>;

/** What a served revision needs of its worker. */
export interface ServedRevisionContext {
  readonly key: string;
  /** Number of the worker. */
  readonly worker: number;
  /** Name for people: `iris-prod/3`. */
  readonly subject: string;
  readonly connect: ConnectModel;
  readonly suspects: SuspectDesk;
  /** Tells the main thread that the connection ended without our doing. */
  readonly onLost: (key: string) => void;
}

/** One request on its way to a revision. */
export interface ModelRequest {
  readonly inputs: readonly Tensor[];
  /** When it came, CLOCK_MONOTONIC, ms. */
  readonly at: number;
  readonly timeoutMs: number;
  /** Of it, for a process that is not there, ms. */
  readonly waitMs: number;
  /** Counts of requests that were run again after a crash. */
  readonly replays: CountCell;
  /** False once the caller is gone and nobody waits for the outcome. */
  readonly isWanted: () => boolean;
  /** Hears of what happens to it on its way; null while nothing is under watch. */
  readonly ticket: RequestTicket | null;
}

/**
 * A revision as one worker serves it: the connection, the gate that requests wait at while it is
 * away, and what is in flight on it.
 */
export class ServedRevision {
  readonly key: string;
  readonly subject: string;
  readonly gate = new Gate(false);
  /** How its requests end, for the breaker. */
  readonly strikes = new Strikes();
  inFlight = 0;
  /** Requests that it answers in a candidate's place now. */
  standingIn = 0;
  /** CLOCK_MONOTONIC, ms. */
  lastAdmittedAt: number | null = null;
  /** CLOCK_MONOTONIC, ms. */
  lastResponseAt: number | null = null;
  readonly #context: ServedRevisionContext;
  #client: ModelClient | null = null;
  /** Null for what runs one frame at a time. */
  #crowd: Crowd | null = null;
  #lostClient: ModelClient | null = null;
  /** CLOCK_MONOTONIC, ms: when the last process was found dead. */
  #lostAt = 0;
  #mayRepeat = true;
  #mayOpen = false;
  #connecting: Promise<void> = Promise.resolve();

  constructor(context: ServedRevisionContext) {
    this.key = context.key;
    this.subject = context.subject;
    this.#context = context;
  }

  /** Whether a request may be run twice, here or besides at another revision. */
  get mayRepeat(): boolean {
    return this.#mayRepeat;
  }

  /** Requests that it has and has not answered; Infinity while it is not there. */
  get pending(): number {
    return this.#client !== null && this.gate.isOpen ? this.#client.pending : Infinity;
  }

  /** Notes that a request of the split was admitted; `at` is CLOCK_MONOTONIC, ms. */
  admit(at: number): void {
    this.inFlight += 1;
    this.lastAdmittedAt = at;
  }

  /** Notes that its answer has been written. */
  release(): void {
    this.inFlight -= 1;
    this.lastResponseAt = monotonic();
  }

  /**
   * Dials `address` in place of the connection there was; requests wait until `open`. What the old
   * one still has in flight ends first, so that the main thread knows of every suspect before
   * requests go to the replacement. `inFlight`: where its requests are counted.
   */
  connect(address: ModelAddress, inFlight: CrowdRoom): Promise<void> {
    this.gate.close();
    this.#mayOpen = false;
    const connected = this.#connecting.then(() => this.#dial(address, inFlight));
    this.#connecting = connected.catch(() => undefined);
    return connected;
  }

  /** Lets requests through to the revision, at once or as soon as it is dialled. */
  open(): void {
    this.#mayOpen = true;
    if (this.#client !== null) this.gate.open();
  }

  async #dial(address: ModelAddress, inFlight: CrowdRoom): Promise<void> {
    const old = this.#client;
    this.#client = null;
    if (old !== null) {
      await old.close();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#mayRepeat = mayRepeat(address);
    this.#crowd = address.kind === "onnx" ? null : new Crowd(inFlight, this.#context.worker);
    this.#client = await this.#context.connect(address);
    if (this.#mayOpen) this.gate.open();
  }

  /** Hangs up once nothing is pending. */
  async disconnect(): Promise<void> {
    this.gate.refuse(`${this.subject} is not loaded any more`, UNLOADED);
    const client = this.#client;
    this.#client = null;
    await client?.close();
  }

  /**
   * Runs one request, again where the version's process died under it.
   * @throws `runtime.failed`, `runtime.timeout`, `runtime.unavailable`, `overloaded`.
   */
  infer(request: ModelRequest): Promise<InferResult> {
    const { inputs, at, timeoutMs } = request;
    const client = this.#client;
    if (client === null || !this.gate.isOpen) return this.#wait(request, at + timeoutMs);
    return this.#ask(client, inputs, { timeoutMs }).catch((error: unknown) =>
      this.#recover(request, { client, error, deadline: at + timeoutMs }),
    );
  }

  #ask(
    client: ModelClient,
    inputs: readonly Tensor[],
    options: Parameters<ModelClient["infer"]>[1],
  ): Promise<InferResult> {
    const crowd = this.#crowd;
    if (crowd === null) return client.infer(inputs, options);
    return crowd.during(() => client.infer(inputs, options));
  }

  /**
   * Runs a request that nobody waits for: at once or not at all, in no shared frame, and never again.
   * @throws what `ModelClient.infer` throws.
   */
  async runOnce(request: {
    readonly inputs: readonly Tensor[];
    readonly timeoutMs: number;
    readonly ticket: Pick<PairTicket, "died">;
  }): Promise<InferResult> {
    const client = this.#client;
    if (client === null || !this.gate.isOpen) throw this.#notLoaded();
    const { inputs, timeoutMs, ticket } = request;
    try {
      return await this.#ask(client, inputs, { timeoutMs, alone: true });
    } catch (error) {
      if (!(error instanceof ModelDied)) throw error;
      this.#lost(client);
      if (error.suspect) ticket.died({ process: error.process, at: this.#lostAt });
      throw error;
    }
  }

  /**
   * Passes a request on unread, once it is there.
   * @throws what `ForwardingClient.forward` throws; `protocol.unsupported` for a version that does not
   * take requests so.
   */
  async forward(request: ForwardRequest, waitMs: number): Promise<Forwarded> {
    const until = monotonic() + waitMs;
    for (;;) {
      while (!this.gate.isOpen) await this.gate.pass(until - monotonic(), this.subject);
      const client = this.#client;
      if (client === null) throw this.#notLoaded();
      if (!isForwarding(client))
        throw new LastgoodError("protocol.unsupported", `${this.subject} is not passed through`);
      try {
        return await this.#forward(client, request);
      } catch (error) {
        // Nothing of it has left: it waits for the process to be back, as every request does.
        if (!(error instanceof ModelDied)) throw error;
        this.#lost(client);
        if (monotonic() > until) throw LastgoodError.from(error);
      }
    }
  }

  /** What is still being read of an answer is still in flight. */
  async #forward(client: ForwardingClient, request: ForwardRequest): Promise<Forwarded> {
    const crowd = this.#crowd;
    if (crowd === null) return client.forward(request);
    const beside = crowd.enter();
    try {
      const answer = await client.forward(request);
      const answered = { ...answer, beside: beside() };
      if (Buffer.isBuffer(answer.body)) crowd.leave();
      else answer.body.once("close", () => crowd.leave());
      return answered;
    } catch (error) {
      crowd.leave();
      throw error;
    }
  }

  async #wait(request: ModelRequest, deadline: number): Promise<InferResult> {
    request.ticket?.waits();
    for (;;) {
      await this.gate.pass(Math.min(request.waitMs, deadline - monotonic()), this.subject);
      // Whoever opened the gate may have closed it again before this request's turn came.
      if (!this.gate.isOpen) continue;
      const client = this.#client;
      if (client === null) throw this.#notLoaded();
      const timeoutMs = Math.max(1, deadline - monotonic());
      try {
        return await this.#ask(client, request.inputs, { timeoutMs });
      } catch (error) {
        return this.#recover(request, { client, error, deadline });
      }
    }
  }

  #recover(
    request: ModelRequest,
    failure: { readonly client: ModelClient; readonly error: unknown; readonly deadline: number },
  ): Promise<InferResult> {
    const { client, error, deadline } = failure;
    if (!(error instanceof ModelDied)) return Promise.reject(LastgoodError.from(error));
    this.#lost(client);
    if (!error.suspect) return this.#wait(request, deadline);
    request.ticket?.died(
      { process: error.process, at: this.#lostAt },
      `the process of ${this.subject} died: ${error.message}`,
    );
    if (!this.#mayRepeat) {
      return Promise.reject(
        new LastgoodError("runtime.failed", `${this.subject} was lost with this request in flight`),
      );
    }
    return this.#runAlone(request, deadline);
  }

  /**
   * The query-of-death rule: a request that was in a process when it died runs once more, alone, in
   * its turn among all suspects. Killing the replacement too, it is answered 500.
   */
  async #runAlone(request: ModelRequest, deadline: number): Promise<InferResult> {
    const turn = await this.#context.suspects.await(this.key, deadline - monotonic());
    let killer: string | null = null;
    try {
      const client = this.#client;
      if (client === null) throw stillSuspect(this.#notLoaded());
      if (!request.isWanted()) throw new LastgoodError("runtime.unavailable", "the caller is gone");
      const cell = request.replays;
      cell.requests += 1;
      try {
        const timeoutMs = Math.max(1, deadline - monotonic());
        return await this.#ask(client, request.inputs, { timeoutMs, alone: true });
      } catch (error) {
        cell.errors += 1;
        if (!(error instanceof ModelDied)) throw stillSuspect(LastgoodError.from(error));
        this.#lost(client);
        request.ticket?.died(
          { process: error.process, at: this.#lostAt },
          `the process of ${this.subject} died: ${error.message}`,
        );
        killer = fingerprint(request.inputs);
        throw new LastgoodError(
          "runtime.failed",
          `the process of ${this.subject} died twice with this request in it`,
          { cause: error, details: NOT_ELSEWHERE },
        );
      }
    } finally {
      turn.done(killer);
    }
  }

  #notLoaded(): LastgoodError {
    return new LastgoodError(
      "runtime.unavailable",
      `${this.subject} is not loaded any more`,
      UNLOADED,
    );
  }

  #lost(client: ModelClient): void {
    // All requests of a frame end together; one of them is enough to say so.
    if (this.#client !== client || this.#lostClient === client) return;
    this.#lostClient = client;
    this.#lostAt = monotonic();
    this.gate.close();
    this.#context.onLost(this.key);
  }
}

function isForwarding(client: ModelClient): client is ForwardingClient {
  return "forward" in client;
}

/** Whether a request may be run twice by what is there. */
function mayRepeat(address: ModelAddress): boolean {
  if (address.kind === "onnx") return true;
  return address.kind === "passthrough" ? address.retries : address.upstream.retries;
}

/** Whether it may be given copies of requests: what is passed on is not read, so there is nothing to compare. */
export function takesCopies(address: ModelAddress): boolean {
  return address.kind !== "passthrough" && mayRepeat(address);
}

/** The error of a request that was in a process when it died; one that threw by itself is cleared. */
function stillSuspect(error: LastgoodError): LastgoodError {
  if (error.code === "runtime.failed") return error;
  const details = { ...error.details, ...NOT_ELSEWHERE };
  return new LastgoodError(error.code, error.message, { hint: error.hint, details, cause: error });
}
