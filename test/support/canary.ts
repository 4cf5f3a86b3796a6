import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { z } from "zod";

import { parseDigest } from "../../src/core/version/index.ts";
import { countKey, countSchema, type Count } from "../../src/link/count/index.ts";
import { inspectedSchema, type GatewayStatus } from "../../src/link/message/index.ts";
import type { Limits, Route, RouteRevision } from "../../src/link/route/index.ts";
import type { GatewayHarness } from "./gateway-harness.ts";

/** A request that the moody model answers with NaN, throws at, or ends its process with. */
export const MOODS = { nan: -1, throws: -2, dies: -3 } as const;

/** How a rollout under watch is set up. */
export interface CanaryOptions {
  /** Share of the candidate, percent. @default 50 */
  readonly weight?: number;
  /** @default true */
  readonly fallback?: boolean;
  /** @default false */
  readonly breaker?: boolean;
}

/** A route in which `candidate` is watched beside `stable`; every other revision is a target too. */
export function canaryRoute(
  harness: GatewayHarness,
  { stable, candidate, older = [] }: CanaryRevisions,
  { weight = 50, fallback = true, breaker = false }: CanaryOptions = {},
): Route {
  const arms = [
    { revision: stable.revision, weight: 100 - weight },
    { revision: candidate.revision, weight },
  ];
  const revisions = [stable, ...older, candidate];
  const route = harness.route(revisions, stable.revision);
  return {
    ...route,
    split: { salt: "salt", arms: arms.filter((arm) => arm.weight > 0) },
    targets: harness.route(revisions, candidate.revision).targets,
    watch: {
      rollout: "a rollout",
      candidate: candidate.revision,
      stable: stable.revision,
      candidateShare: null,
      flushMs: 1_000,
      deadlineMs: 30_000,
      mirror: null,
      inputs: null,
    },
    safeguards: { fallback, breaker },
  };
}

/** The revisions of a canary. */
export interface CanaryRevisions {
  readonly stable: RouteRevision;
  readonly candidate: RouteRevision;
  readonly older?: readonly RouteRevision[];
}

/** A revision with other limits. */
export function limited(revision: RouteRevision, limits: Partial<Limits>): RouteRevision {
  return { ...revision, limits: { ...revision.limits, ...limits } };
}

/** A started gateway with a control plane. */
export async function connected(harness: GatewayHarness): Promise<GatewayHarness> {
  await harness.startBoth();
  return harness;
}

/** Publishes a route and waits until all that it names is loaded. */
export async function publishReady(harness: GatewayHarness, route: Route): Promise<void> {
  await harness.publish(route);
  await allReady(harness, route.revisions.length);
}

/** Waits until so many revisions are loaded and no other is. */
export async function allReady(harness: GatewayHarness, count: number): Promise<GatewayStatus> {
  const status = await harness.until(async () => {
    const now = await harness.admin<GatewayStatus>("gateway.status", {});
    const ready = now.revisions.filter((each) => each.state === "ready");
    return ready.length === count && now.revisions.length === count && now;
  }, `${count} revisions`);
  if (status === false) throw new Error("no status");
  return status;
}

const countsSchema = z.object({ counts: z.array(countSchema) });

/** Totals of what the gateway has reported so far, by revision and arm: `2 assigned`. */
export function totals(
  harness: GatewayHarness,
): Readonly<Record<string, Pick<Count, "requests" | "errors">>> {
  const latest = new Map<string, Count>();
  for (const { kind, body } of harness.news) {
    if (kind !== "counts") continue;
    for (const count of countsSchema.parse(body).counts) latest.set(countKey(count), count);
  }
  const sums: Record<string, { requests: number; errors: number }> = {};
  for (const { revision, arm, requests, errors } of latest.values()) {
    const sum = (sums[`${revision} ${arm}`] ??= { requests: 0, errors: 0 });
    sum.requests += requests;
    sum.errors += errors;
  }
  return sums;
}

/** What one slice of sorted values lies below: `quantile(times, 0.99)`. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** A model server elsewhere that doubles numbers, or fails as it is told. */
export class DoublingRemote {
  /** What becomes of the next requests; null: they are answered. */
  fails: "error" | "drop" | "silent" | null = null;
  infers = 0;
  /** Work of each request, ms: one after the other. */
  workMs = 0;
  #working: Promise<void> = Promise.resolve();
  #kept: (() => void)[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const isInfer = request.url === "/v2/models/doubles/infer";
        if (isInfer) this.infers += 1;
        const answer = (): void => {
          const status = isInfer && this.fails === "error" ? 500 : 200;
          response.writeHead(status, { "content-type": "application/json" });
          response.end(status === 200 ? this.#answer(request.url ?? "", body) : '{"error":"no"}');
        };
        if (isInfer && this.fails === "silent") this.#kept.push(answer);
        else if (isInfer && this.fails === "drop") request.socket.destroy();
        else if (isInfer && this.workMs > 0) void this.#work().then(answer);
        else answer();
      });
    });
  }

  #work(): Promise<void> {
    this.#working = this.#working.then(() => pause(this.workMs));
    return this.#working;
  }

  static async start(): Promise<DoublingRemote> {
    const remote = new DoublingRemote();
    await new Promise<void>((done) => remote.#server.listen(0, "127.0.0.1", () => done()));
    return remote;
  }

  /** As a gateway's configuration names it. */
  settings(retries: boolean): {
    readonly url: string;
    readonly protocol: "oip";
    readonly model: string;
    readonly retries: boolean;
  } {
    const { port } = this.#server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, protocol: "oip", model: "doubles", retries };
  }

  /** The revision that the remote of this name is, beside one with the same signature. */
  async revision(
    harness: GatewayHarness,
    number: number,
    remote: string,
    like: RouteRevision,
  ): Promise<RouteRevision> {
    const digest = parseDigest(`sha256:${String(number).padStart(64, "0")}`);
    const runtime = { kind: "remote", remote } as const;
    const asked = { digest, runtime, files: [], signature: null, examples: [] };
    const inspected = inspectedSchema.parse(await harness.control("version.inspect", asked));
    const { golden, batching } = inspected;
    return { ...like, revision: number, digest, runtime, files: [], golden, batching };
  }

  /** Answers what it was silent about, and all that comes. */
  speakUp(): void {
    this.fails = null;
    for (const answer of this.#kept.splice(0)) answer();
  }

  /** Ends every connection, with what waits on it. */
  reset(): void {
    this.#kept = [];
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  /** Out of reach: connections are refused, until what this gives is called. */
  async goAway(): Promise<() => Promise<void>> {
    const { port } = this.#server.address() as AddressInfo;
    await this.stop();
    return () => new Promise((done) => this.#server.listen(port, "127.0.0.1", () => done()));
  }

  #answer(url: string, body: string): string {
    if (url.endsWith("/ready")) return '{"ready":true}';
    const shape = [-1, 1];
    if (!url.endsWith("/infer"))
      return JSON.stringify({
        name: "doubles",
        inputs: [{ name: "x", datatype: "FP32", shape }],
        outputs: [{ name: "y", datatype: "FP32", shape }],
      });
    const asked = JSON.parse(body) as { inputs: { shape: number[]; data: number[] }[] };
    const [input] = asked.inputs;
    const data = input?.data.flat().map((x) => 2 * x);
    return JSON.stringify({
      outputs: [{ name: "y", datatype: "FP32", shape: input?.shape, data }],
    });
  }
}
