import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import { ownIdentity, type PeerIdentity } from "../../link/peer/index.ts";
import {
  ModelDied,
  UNLOADED,
  type InferResult,
  type ModelAddress,
  type ModelClient,
  type RunFrame,
} from "../runtime/index.ts";
import { BatchKeys, joinInputs, splitOutputs } from "./batch.ts";
import { Deadlines } from "./deadlines.ts";
import { openLane, type FrameOutcome, type Lane } from "./lane.ts";
import { RequestQueue, sharing, type Waiting } from "./request-queue.ts";

/** A frame is filled up to about this much of the version's own time, ms. */
const FRAME_MS = 5;
const MAX_ROWS = 256;
/** How fast the measured cost follows, and how far one frame may move it. */
const COST_WEIGHT = 0.2;
const COST_OUTLIER = 4;

/**
 * Sending a frame costs both sides together about this much, ms. A version that takes less is not kept
 * busy by sooner frames, only by fuller ones.
 */
const FRAME_COST_MS = 0.2;

/** Address of an ONNX revision. */
type OnnxAddress = Extract<ModelAddress, { readonly kind: "onnx" }>;

/** The version's own time per row, learned from its frames. */
class RowCost {
  #msPerRow = 0;
  #lastMs = Infinity;

  learn(modelMs: number, rows: number): void {
    this.#lastMs = modelMs;
    const seen = modelMs / rows;
    const bounded = this.#msPerRow === 0 ? seen : Math.min(seen, COST_OUTLIER * this.#msPerRow);
    this.#msPerRow += (this.#msPerRow === 0 ? 1 : COST_WEIGHT) * (bounded - this.#msPerRow);
  }

  /** Whether the last frame cost more than the version's own time for it. */
  get isSmall(): boolean {
    return this.#lastMs < FRAME_COST_MS;
  }

  /** Rows that a frame may hold now. */
  get rows(): number {
    if (this.#msPerRow === 0) return MAX_ROWS;
    return Math.max(1, Math.min(MAX_ROWS, Math.floor(FRAME_MS / this.#msPerRow)));
  }
}

/**
 * A worker's requests to one revision: what arrives within one turn of the event loop (two, where the
 * version is quick) becomes one frame and one run, one frame in flight per replica, what arrives
 * meanwhile is the next.
 */
class BatchingClient implements ModelClient {
  readonly #lanes: readonly Lane[];
  readonly #queueLimit: number;
  readonly #queue = new RequestQueue();
  readonly #cost = new RowCost();
  readonly #keys = new BatchKeys();
  /** What each busy lane has. */
  readonly #frames = new Set<readonly Waiting[]>();
  readonly #deadlines = new Deadlines((now) => this.#expire(now));
  #batching: boolean;
  #pending = 0;
  #scheduled = false;
  #whenIdle: (() => void) | null = null;
  #closing = false;

  constructor(lanes: readonly Lane[], address: OnnxAddress) {
    this.#lanes = lanes;
    this.#batching = address.batching;
    this.#queueLimit = address.queue;
    for (const lane of lanes) void lane.closed.then(() => this.#laneEnded());
  }

  get pending(): number {
    return this.#pending;
  }

  infer(
    inputs: readonly Tensor[],
    options: { readonly timeoutMs: number; readonly alone?: boolean },
  ): Promise<InferResult> {
    if (this.#closing)
      return Promise.reject(
        new LastgoodError("runtime.unavailable", "the connection is closing", UNLOADED),
      );
    if (!this.#isAlive)
      return Promise.reject(new ModelDied(false, "the model process is gone", this.#process));
    if (this.#pending >= this.#queueLimit)
      return Promise.reject(
        new LastgoodError("overloaded", `${this.#pending} requests are waiting for this version`),
      );
    const { timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const mayShare = this.#batching && options.alone !== true;
      const { key, rows } = sharing(inputs, mayShare ? this.#keys : null);
      const deadline = performance.now() + timeoutMs;
      this.#queue.push({
        inputs,
        rows,
        key,
        resolve,
        reject,
        timeoutMs,
        deadline,
        settled: false,
      });
      this.#pending += 1;
      this.#deadlines.watch(deadline);
      this.#schedule();
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#pending > 0)
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    this.#deadlines.clear();
    for (const lane of this.#lanes) lane.close();
    await Promise.all(this.#lanes.map((lane) => lane.closed));
  }

  /** Of the first replica: what was in none of them died with no particular one. */
  get #process(): string {
    return this.#lanes[0]?.process ?? "";
  }

  get #isAlive(): boolean {
    return this.#lanes.some((lane) => lane.isOpen);
  }

  /**
   * At the end of this turn of the event loop, so that all that arrives in it goes together. Of the next
   * turn where the version is quick: what waits in the sockets by then goes along. Where nothing does,
   * that turn takes a few microseconds.
   */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const dispatch = (): void => {
      this.#scheduled = false;
      this.#dispatch();
    };
    setImmediate(() => {
      if (this.#batching && this.#cost.isSmall) setImmediate(dispatch);
      else dispatch();
    });
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      if (!lane.isOpen || lane.isBusy) continue;
      const requests = this.#queue.take(this.#cost.rows);
      if (requests.length === 0) return;
      void this.#runFrame(lane, requests);
    }
  }

  async #runFrame(lane: Lane, requests: readonly Waiting[]): Promise<void> {
    let rows = 0;
    for (const request of requests) rows += request.rows;
    this.#frames.add(requests);
    const outcome = await lane.run(partsOf(requests, rows));
    this.#frames.delete(requests);
    if (outcome.kind === "ran") this.#cost.learn(outcome.ran.modelMs, rows);
    this.#settleFrame(requests, outcome, { rows });
    if (!this.#queue.isEmpty) this.#schedule();
  }

  #settleFrame(requests: readonly Waiting[], outcome: FrameOutcome, frame: RunFrame): void {
    const [only] = requests;
    if (outcome.kind === "died") {
      for (const request of requests)
        this.#fail(request, new ModelDied(true, outcome.why, outcome.process));
    } else if (requests.length === 1 && only !== undefined) {
      if (outcome.kind === "threw") this.#fail(only, outcome.error);
      else this.#succeed(only, { ...outcome.ran, batch: 1, frame });
    } else this.#settleShared(requests, outcome, frame);
  }

  #settleShared(
    requests: readonly Waiting[],
    outcome: Exclude<FrameOutcome, { kind: "died" }>,
    frame: RunFrame,
  ): void {
    if (outcome.kind === "ran") {
      const { outputs, modelMs } = outcome.ran;
      const split = splitOutputs(
        outputs,
        requests.map((request) => request.rows),
      );
      if (split !== null) {
        requests.forEach((request, index) => {
          const batch = requests.length;
          this.#succeed(request, { outputs: split[index] ?? [], modelMs, batch, frame });
        });
        return;
      }
      // Its outputs follow the data, not the rows: what registering could not see.
      this.#batching = false;
    }
    // Somebody's input spoiled it for all, so each is run again and only that counts.
    for (const request of requests) {
      request.key = null;
      if (!request.settled) this.#queue.push(request);
    }
  }

  #succeed(request: Waiting, result: InferResult): void {
    if (this.#settle(request)) request.resolve(result);
  }

  #fail(request: Waiting, error: Error): void {
    if (this.#settle(request)) request.reject(error);
  }

  #settle(request: Waiting): boolean {
    if (request.settled) return false;
    request.settled = true;
    this.#pending -= 1;
    if (this.#pending === 0) this.#whenIdle?.();
    return true;
  }

  #expire(now: number): void {
    for (const request of this.#queue) this.#look(request, now);
    for (const requests of this.#frames) for (const request of requests) this.#look(request, now);
  }

  #look(request: Waiting, now: number): void {
    if (request.settled) return;
    if (request.deadline > now) this.#deadlines.watch(request.deadline);
    else {
      const why = `the version did not answer within ${request.timeoutMs} ms`;
      this.#fail(request, new LastgoodError("runtime.timeout", why));
    }
  }

  #laneEnded(): void {
    if (this.#isAlive) return;
    for (const request of this.#queue.drain())
      this.#fail(
        request,
        new ModelDied(false, "the model process ended before the request's turn", this.#process),
      );
  }
}

function partsOf(requests: readonly Waiting[], rows: number): ReturnType<typeof joinInputs> {
  const [only] = requests;
  if (requests.length === 1 && only !== undefined)
    return only.inputs.map((input) => ({ ...input, parts: [input.data] }));
  return joinInputs(
    requests.map((request) => request.inputs),
    rows,
  );
}

/**
 * A worker's connection to a loaded ONNX revision.
 * @throws `server.unreachable` when one of its replicas does not listen.
 */
export async function connectModel(
  address: OnnxAddress,
  self: PeerIdentity = ownIdentity("gateway", "", "worker"),
): Promise<ModelClient> {
  const lanes = await Promise.all(address.sockets.map((socket) => openLane(socket, self)));
  return new BatchingClient(lanes, address);
}
