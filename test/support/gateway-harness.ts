import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import {
  parseDigest,
  parseEndpointName,
  parseModelName,
  parseVersionName,
  versionLabel,
} from "../../src/core/version/index.ts";
import {
  gatewayRolledBackSchema,
  gatewayStatusSchema,
  inspectedSchema,
  routeAcknowledgedSchema,
  type GatewayRolledBack,
  type GatewayStatus,
  type Inspected,
  type RouteAcknowledged,
} from "../../src/link/message/index.ts";
import {
  connectPeer,
  listenPeers,
  ownIdentity,
  socketFolder,
  type Peer,
  type PeerListener,
} from "../../src/link/peer/index.ts";
import { DEFAULT_LIMITS, type Route, type RouteRevision } from "../../src/link/route/index.ts";
import { startProgram } from "../../src/link/startup/index.ts";
import { plainRoute } from "./route-facts.ts";

const root = resolve(import.meta.dirname, "../..");
/** The bundles that a run of tests is given. */
export const DIST = join(root, "dist");
const self = ownIdentity("control", "test", "test");

/** What was found out of a model file once does not change. */
const inspectedFiles = new Map<string, Inspected>();

/** A request that the iris examples take. */
export const SAMPLE = {
  inputs: [{ name: "features", shape: [1, 4], datatype: "FP32", data: [4.8, 3, 1.4, 0.1] }],
};

/** One answer as a caller saw it. */
export interface Answer {
  readonly status: number;
  readonly revision: string | undefined;
  /** Who failed it before, `label/revision`. */
  readonly fallback?: string | undefined;
  readonly retryAfter?: string | undefined;
  readonly body: string;
  /** performance.now() when it was sent and when its answer was there. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** A request for a model that takes a number. */
export function numberBody(x: number): unknown {
  return { inputs: [{ name: "x", shape: [1, 1], datatype: "FP32", data: [x] }] };
}

/** How a gateway of a test is started. */
export interface HarnessStart {
  /** Folder of the bundles; a sabotaged build has its own. @default dist */
  readonly dist?: string;
  readonly workers?: number;
  /** Speaks gRPC too, on a free port. */
  readonly grpc?: boolean;
  readonly remotes?: Readonly<
    Record<
      string,
      {
        readonly url: string;
        readonly protocol: "oip" | "passthrough";
        readonly model?: string;
        readonly health?: string;
        readonly retries: boolean;
      }
    >
  >;
}

/** A gateway process in a data folder of its own, and the control plane's end of the link. */
export class GatewayHarness {
  readonly dataDir = mkdtempSync(join(tmpdir(), "lg-gateway-"));
  readonly sockets = socketFolder(this.dataDir);
  readonly news: { readonly kind: string; readonly body: unknown }[] = [];
  readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #start: HarnessStart;
  port = 0;
  grpcPort = 0;
  #child: ChildProcess | null = null;
  #control: PeerListener | null = null;
  #link: Peer | null = null;
  #sequence = 0;

  constructor(start: HarnessStart = {}) {
    this.#start = start;
  }

  async start(): Promise<void> {
    const dist = this.#start.dist ?? DIST;
    const config = {
      dataDir: this.dataDir,
      serveHost: "127.0.0.1",
      servePort: this.port,
      grpc: this.#start.grpc === true ? { host: "127.0.0.1", port: this.grpcPort } : null,
      workers: this.#start.workers ?? 2,
      remotes: this.#start.remotes ?? {},
      modelEntry: join(dist, "model.cjs"),
      shimEntry: join(dist, "shim.cjs"),
      workerEntry: join(dist, "worker.cjs"),
      build: "test",
      socketFolder: this.sockets,
    };
    const log = openSync(join(this.dataDir, "gateway.log"), "a");
    this.#child = startProgram({
      program: join(dist, "gateway.cjs"),
      shown: [this.dataDir],
      config,
      output: log,
    });
    const status = await this.until(
      () => this.admin<GatewayStatus>("gateway.status", {}),
      "the gateway's hello",
    );
    const { serveAddress, grpcAddress } = gatewayStatusSchema.parse(status);
    this.port = Number(serveAddress.split(":")[1]);
    this.grpcPort = Number(grpcAddress?.split(":")[1] ?? 0);
  }

  async startControl(): Promise<void> {
    await this.#listen();
    await this.#introduced();
  }

  async #listen(): Promise<void> {
    this.#control = await listenPeers(
      join(this.sockets, "control.sock"),
      {
        self,
        onRequest: (frame) => {
          this.news.push({ kind: frame.kind, body: frame.body });
          return { body: {} };
        },
      },
      (peer) => {
        this.#link = peer;
      },
    );
  }

  async #introduced(): Promise<void> {
    await this.until(
      () => this.news.some((each) => each.kind === "gateway.connected"),
      "the gateway's status",
    );
  }

  /** A gateway that finds its control plane as soon as it looks for one. */
  async startBoth(): Promise<void> {
    await this.#listen();
    await this.start();
    await this.#introduced();
  }

  async stopControl(): Promise<void> {
    await this.#control?.close();
    this.#link = null;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  async killGateway(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
  }

  /** A request over the admin socket, as the CLI makes it. */
  async admin<T>(kind: string, body: unknown): Promise<T> {
    const peer = await connectPeer(join(this.sockets, "gateway.sock"), {
      self,
      onRequest: () => ({ body: {} }),
    });
    try {
      return (await peer.request(kind, body, { timeoutMs: 20_000 })).body as T;
    } finally {
      peer.close();
    }
  }

  /** A request over the link, as the control plane makes it. */
  async control(kind: string, body: unknown): Promise<unknown> {
    if (this.#link === null) throw new Error("the gateway is not connected");
    return (await this.#link.request(kind, body, { timeoutMs: 20_000 })).body;
  }

  /** What the registry would know of an example. */
  revision(number: number, file: string): Promise<RouteRevision> {
    return this.#register({ number, name: file, file: `examples/iris/${file}.onnx`, examples: [] });
  }

  /** A revision of a test model that takes numbers, and gives back two for one. */
  numbers(number: number, fixture: "moody" | "doubles", name: string): Promise<RouteRevision> {
    const example = [{ name: "x", dtype: "FP32", shape: [1, 1], data: [1] }];
    const file = `test/fixtures/onnx/${fixture}.onnx`;
    return this.#register({ number, name, file, examples: [example] });
  }

  async #register(given: {
    readonly number: number;
    readonly name: string;
    readonly file: string;
    readonly examples: readonly unknown[];
  }): Promise<RouteRevision> {
    const { number, name, examples } = given;
    const path = join(root, given.file);
    const bytes = readFileSync(path);
    const hex = createHash("sha256").update(bytes).digest("hex");
    mkdirSync(join(this.dataDir, "blobs/sha256"), { recursive: true });
    copyFileSync(path, join(this.dataDir, "blobs/sha256", hex));
    const digest = parseDigest(`sha256:${hex}`);
    const files = [{ path: "model.onnx", digest, size: bytes.length }];
    const runtime = { kind: "onnx", file: "model.onnx" } as const;
    let inspected = inspectedFiles.get(given.file);
    if (inspected === undefined) {
      const body = { digest, runtime, files, signature: null, examples };
      inspected = inspectedSchema.parse(await this.control("version.inspect", body));
      inspectedFiles.set(given.file, inspected);
    }
    return {
      revision: number,
      version: { model: parseModelName("iris"), name: parseVersionName(name), sequence: number },
      digest,
      runtime,
      files,
      signature: inspected.signature,
      contract: inspected.signature,
      batching: inspected.batching,
      golden: inspected.golden,
      limits: DEFAULT_LIMITS,
    };
  }

  route(revisions: readonly RouteRevision[], serving: number, more: Partial<Route> = {}): Route {
    return plainRoute({
      endpoint: parseEndpointName("iris-prod"),
      model: parseModelName("iris"),
      order: { generation: 0, epoch: 0, sequence: ++this.#sequence },
      split: { salt: "salt", arms: [{ revision: serving, weight: 100 }] },
      revisions: [...revisions],
      targets: revisions
        .filter((each) => each.revision !== serving)
        .map((each) => ({
          revision: each.revision,
          version: versionLabel(each.version),
          digest: each.digest,
          provenAt: null,
          why: "newest stable revision before the current one",
        })),
      ...more,
    });
  }

  async publish(route: Route): Promise<RouteAcknowledged> {
    return routeAcknowledgedSchema.parse(await this.control("route.publish", { route }));
  }

  async rollback(more: Readonly<Record<string, unknown>> = {}): Promise<GatewayRolledBack> {
    const body = {
      endpoint: null,
      version: null,
      ifCurrent: null,
      actor: "test",
      reason: "a test",
      keepStatus: false,
      again: false,
      dryRun: false,
      ...more,
    };
    return gatewayRolledBackSchema.parse(await this.admin("gateway.rollback", body));
  }

  modelPid(status: GatewayStatus, revision: number): number {
    const pid = status.revisions.find((each) => each.revision === revision)?.pid;
    if (pid === null || pid === undefined) throw new Error(`revision ${revision} has no process`);
    return pid;
  }

  ask(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const sentAt = performance.now();
    const text = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return new Promise((done, failed) => {
      const outgoing = request(
        {
          port: this.port,
          host: "127.0.0.1",
          path,
          method: "POST",
          agent: this.agent,
          headers: {
            "content-type": "application/json",
            "content-length": Buffer.byteLength(text),
            ...headers,
          },
        },
        (response) => {
          let received = "";
          response.on("data", (chunk: Buffer) => (received += chunk.toString()));
          response.on("error", failed);
          response.on("end", () =>
            done({
              status: response.statusCode ?? 0,
              revision: response.headers["x-lastgood-revision"]?.toString(),
              fallback: response.headers["x-lastgood-fallback"]?.toString(),
              retryAfter: response.headers["retry-after"],
              body: received,
              sentAt,
              receivedAt: performance.now(),
            }),
          );
        },
      );
      outgoing.on("error", failed);
      outgoing.end(text);
    });
  }

  /** Sends bytes, closes our half of the connection, and gives all that comes back. */
  raw(bytes: string): Promise<string> {
    return new Promise((done) => {
      let received = "";
      const socket = connect({ port: this.port, host: "127.0.0.1" });
      socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
      socket.on("error", () => done(received));
      socket.on("close", () => done(received));
      socket.end(bytes);
    });
  }

  infer(body: unknown = SAMPLE): Promise<Answer> {
    return this.ask("/v2/models/iris-prod/infer", body);
  }

  /** Load by `clients` callers without a pause; gathers every answer, failures as status 0. */
  load(clients: number, body: unknown = SAMPLE): { stop(): Promise<Answer[]> } {
    const answers: Answer[] = [];
    let running = true;
    const callers = Array.from({ length: clients }, async () => {
      // oxlint-disable-next-line no-unmodified-loop-condition -- `stop` ends it
      while (running) {
        const sentAt = performance.now();
        answers.push(
          await this.infer(body).catch((error: unknown) => ({
            status: 0,
            revision: undefined,
            body: String(error),
            sentAt,
            receivedAt: performance.now(),
          })),
        );
      }
    });
    return {
      stop: async () => {
        running = false;
        await Promise.all(callers);
        return answers;
      },
    };
  }

  async until<T>(probe: () => Promise<T> | T, what: string): Promise<T> {
    for (let tries = 0; tries < 600; tries += 1) {
      const value = await Promise.resolve()
        .then(probe)
        .catch(() => false as const);
      if (value !== false && value !== undefined && value !== null) return value;
      await pause(10);
    }
    throw new Error(
      `${what} did not come: ${readFileSync(join(this.dataDir, "gateway.log"), "utf8").slice(-4_000)}`,
    );
  }

  /** Asks the gateway to end; gives its exit code. */
  async terminate(): Promise<number | null> {
    const child = this.#child;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await gone;
    }
    return child?.exitCode ?? null;
  }

  async end(): Promise<void> {
    this.agent.destroy();
    await this.stopControl();
    await this.terminate();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
