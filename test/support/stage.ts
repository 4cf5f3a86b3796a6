import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Deployed, EndpointView } from "../../src/core/api/index.ts";
import type { ErrorBody } from "../../src/core/errors/index.ts";
import { blobPath } from "../../src/core/version/index.ts";
import type { RevisionState } from "../../src/link/message/index.ts";
import { gatewayStatus } from "./iris-endpoint.ts";
import { oipBody } from "./load.ts";
import { heldOutRows } from "./rows.ts";
import { example, until, type TestServer } from "./server.ts";

/** What an answered inference request says. */
export interface Scored {
  readonly status: number;
  readonly version: string | null;
  readonly revision: string | null;
  readonly text: string;
}

/** What a verb printed with `--json`. */
export interface Told<T> {
  readonly code: number | null;
  readonly value: T;
  readonly stderr: string;
}

type DeployBody = Parameters<TestServer["client"]["deploy"]>[0];

const WHO = { actor: "tester", reason: null } as const;
const rows = heldOutRows("iris").map((row) => row.features);

/** An OIP body for one held-out iris row. */
export function irisBody(row = 0): string {
  return oipBody(rows[row % rows.length] ?? []);
}

/** Bodies for all held-out iris rows. */
export const irisBodies: readonly string[] = rows.map((row) => oipBody(row));

/**
 * The model's bytes with a note in them: other bytes, same answers. The note is the `doc_string` of
 * the ONNX `ModelProto` (field 6), and a protobuf message may be appended to.
 */
export function withNote(model: Uint8Array, note: string): Uint8Array<ArrayBuffer> {
  const text = Buffer.from(note);
  if (text.length > 127) throw new Error("a note of more than 127 bytes needs a longer length");
  return new Uint8Array(Buffer.concat([model, Buffer.from([0x32, text.length]), text]));
}

/** A model of its own with one endpoint of the same name: tests on one server do not meet. */
export class Stage {
  readonly server: TestServer;
  readonly name: string;
  readonly #blobs = new Map<string, string>();

  constructor(server: TestServer, name: string) {
    this.server = server;
    this.name = name;
  }

  get #client(): TestServer["client"] {
    return this.server.client;
  }

  /** Where inference requests go. */
  get url(): string {
    return `${this.server.serveUrl}/v2/models/${this.name}/infer`;
  }

  /** Registers a file of `examples/` under bytes of its own, so that no other version shares them. */
  async register(
    version: string,
    file = "iris/v1.1.onnx",
    inputExample: unknown = null,
  ): Promise<void> {
    const bytes = withNote(readFileSync(example(file)), `${this.name} ${version}`);
    const { digest } = await this.#client.upload(bytes);
    await this.#client.register(this.name, {
      name: version,
      files: [{ path: `${version}.onnx`, digest }],
      inputExample,
      actor: "tester",
    });
    this.#blobs.set(version, join(this.server.dataDir, blobPath(digest)));
  }

  /** Deploys a version; without a bake, so stable when this resolves, unless said otherwise. */
  deploy(version: string, options: Partial<DeployBody> = {}): Promise<Deployed> {
    return this.#client.deploy({
      ...WHO,
      endpoint: this.name,
      bakeMs: 0,
      ...options,
      reference: `${this.name}@${version}`,
    });
  }

  /** Registers and deploys each version in turn: all end stable, the last one serves. */
  async stable(...versions: readonly string[]): Promise<void> {
    for (const version of versions) {
      await this.register(version);
      await this.deploy(version);
    }
  }

  /** A verdict on a version. */
  async mark(version: string, status: "stable" | "failed" | "pending", why: string): Promise<void> {
    await this.#client.mark(this.name, version, { status, reason: why, actor: "tester" });
  }

  view(): Promise<EndpointView> {
    return this.#client.endpoint(this.name);
  }

  /** Runs a verb with `--json`; its answer must be exactly one JSON value. */
  async tell<T = Record<string, unknown>>(...args: readonly string[]): Promise<Told<T>> {
    const { code, stdout, stderr } = await this.server.typed([...args, "--json"]);
    return { code, value: JSON.parse(stdout) as T, stderr };
  }

  /** Runs a verb that must be refused with this exit code, and gives the error. */
  async refused(code: number, ...args: readonly string[]): Promise<ErrorBody> {
    const told = await this.tell<{ error?: ErrorBody }>(...args);
    const { error } = told.value;
    if (told.code === code && error !== undefined) return error;
    throw new Error(
      `${args.join(" ")} ended with ${told.code}, not ${code}: ${JSON.stringify(told.value)}`,
    );
  }

  /** One inference request on a connection of its own. */
  async score(body = irisBody(), path = `/v2/models/${this.name}/infer`): Promise<Scored> {
    const response = await fetch(`${this.server.serveUrl}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body,
    });
    return {
      status: response.status,
      version: response.headers.get("x-lastgood-version"),
      revision: response.headers.get("x-lastgood-revision"),
      text: await response.text(),
    };
  }

  /** The versions that answer `count` new connections, which the system spreads over the workers. */
  async answering(count = 8): Promise<readonly string[]> {
    const answers = await Promise.all(Array.from({ length: count }, () => this.score()));
    return [
      ...new Set(
        answers.map(({ status, version }) => (status === 200 ? String(version) : `${status}`)),
      ),
    ];
  }

  /** What the gateway has loaded for the endpoint. */
  async loaded(): Promise<readonly RevisionState[]> {
    const { revisions } = await gatewayStatus(this.server);
    return revisions.filter((revision) => revision.endpoint === this.name);
  }

  /** Waits until what is no longer needed is unloaded, and the control plane knows: a version after that is cold. */
  async unloadedTo(count: number): Promise<readonly RevisionState[]> {
    return until(`${count} revisions of ${this.name} are loaded`, async () => {
      const ready = (await this.loaded()).filter(({ state }) => state === "ready");
      const known = (await this.view()).revisions.filter(({ warm }) => warm);
      return ready.length <= count && known.length <= count ? ready : null;
    });
  }

  /** Path of a version's stored file. */
  blob(version: string): string {
    const path = this.#blobs.get(version);
    if (path === undefined) throw new Error(`${version} was not registered here`);
    return path;
  }

  /** Changes one bit in the middle of a version's stored file, as a bad disk would. */
  flipByte(version: string): void {
    const path = this.blob(version);
    const bytes = readFileSync(path);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    // Under a new inode: what is mapped or read right now stays as it was.
    const beside = `${path}.${randomUUID()}`;
    writeFileSync(beside, bytes);
    renameSync(beside, path);
  }

  /** Removes a version's stored file. */
  loseFile(version: string): void {
    rmSync(this.blob(version));
  }
}

/** A model of its own on the server, nothing registered yet. */
export function stage(server: TestServer, name: string): Stage {
  return new Stage(server, name);
}
