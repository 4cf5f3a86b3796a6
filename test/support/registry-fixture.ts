import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type {
  InspectRequest,
  RegistryDependencies,
} from "../../src/control/registry/dependencies.ts";
import type { RegisteredVersion, Registration } from "../../src/control/registry/registration.ts";
import { RegistryService } from "../../src/control/registry/registry-service.ts";
import { LastgoodError } from "../../src/core/errors/index.ts";
import type { WireSample } from "../../src/core/tensor/index.ts";
import type { Signature, VersionName } from "../../src/core/version/index.ts";
import type { Inspected } from "../../src/link/message/index.ts";
import { openLocalArtifacts, type Artifacts } from "../../src/storage/artifacts/index.ts";
import { openSqliteStore, type Store } from "../../src/storage/store/index.ts";

const SIGNATURE: Signature = {
  inputs: [{ name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 2] }],
  outputs: [{ name: "y", kind: "tensor", dtype: "FP32", shape: [-1] }],
};

/** A gateway of one formula: y is the first column times a factor that the bytes say. */
export class OneFormulaGateway {
  readonly requests: InspectRequest[] = [];
  connected = true;
  before: () => Promise<void> = () => Promise.resolve();
  readonly #artifacts: () => Artifacts;

  constructor(artifacts: () => Artifacts) {
    this.#artifacts = artifacts;
  }

  readonly inspect = async (request: InspectRequest): Promise<Inspected> => {
    this.requests.push(request);
    await this.before();
    if (!this.connected) throw new LastgoodError("gateway.unavailable", "no gateway is connected");
    const [file] = request.files;
    const bytes = file === undefined ? "1" : await this.#artifacts().read(file.digest);
    const factor = Number(Buffer.from(bytes).toString());
    if (Number.isNaN(factor)) throw new LastgoodError("artifact.invalid", "this is no model");
    const generated = [{ name: "x", dtype: "FP32" as const, shape: [1, 2], data: [factor, 1] }];
    const examples = request.examples.length === 0 ? [generated] : request.examples;
    const golden: WireSample[] = examples.map((inputs) => {
      const rows = inputs[0]?.shape[0] ?? 0;
      const data = Array.from(
        { length: rows },
        (_, row) => Number(inputs[0]?.data[row * 2]) * factor,
      );
      return { inputs, outputs: [{ name: "y", dtype: "FP32", shape: [rows], data }] };
    });
    return {
      signature: SIGNATURE as Inspected["signature"],
      golden,
      dropped: [],
      batching: { on: true },
      engine: { name: "one formula", version: "1", threads: 1 },
    };
  };
}

export let folder: string;
export let store: Store;
export let artifacts: Artifacts;
export let gateway: OneFormulaGateway;
export let registry: RegistryService;
let needed: readonly string[];
let time: number;
export let warnings: string[];

function dependencies(): RegistryDependencies {
  return {
    store,
    artifacts,
    clock: { now: () => (time += 1), monotonic: () => time },
    log: {
      info: () => undefined,
      warn: (details) => warnings.push(JSON.stringify(details)),
    },
    inspect: gateway.inspect,
    neededBy: () => Promise.resolve(needed),
  };
}

/** Opens what lies in the folder, as a start of the server does. */
export async function start(): Promise<void> {
  store = await openSqliteStore({ path: join(folder, "store.db") });
  artifacts = await openLocalArtifacts(folder);
  registry = new RegistryService(dependencies());
}

/** What endpoints say they need, for the archive. */
export function setNeeded(by: readonly string[]): void {
  needed = by;
}

/** Puts another store under the registry. */
export function useStore(other: Store): void {
  registry = new RegistryService({ ...dependencies(), store: other });
}

/** Before each test: a registry on a real store in a folder of its own; only the gateway is a formula. */
export async function prepare(): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), "lastgood-registry-"));
  gateway = new OneFormulaGateway(() => artifacts);
  needed = [];
  time = 1_000;
  warnings = [];
  await start();
}

/** After each test: nothing is left. */
export async function tidyUp(): Promise<void> {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
}

/** A registration whose one file is uploaded: a number, the formula's factor. */
export async function uploaded(
  content: string,
  name: string | null,
  over: Partial<Registration> = {},
): Promise<Registration> {
  const { digest } = await artifacts.put(Buffer.from(content));
  return {
    model: "fraud",
    name: name as VersionName | null,
    files: [{ path: "model.onnx", digest }],
    runtime: "onnx",
    remote: null,
    launcher: null,
    steps: { preprocess: null, model: null, postprocess: null },
    signature: null,
    columns: null,
    arrays: false,
    inputExample: null,
    reference: null,
    metrics: {},
    params: {},
    tags: {},
    lineage: {},
    actor: "ana",
    ...over,
  };
}

/** Uploads and registers. */
export async function register(
  content: string,
  name: string | null,
  over: Partial<Registration> = {},
): Promise<RegisteredVersion> {
  return registry.register(await uploaded(content, name, over));
}

/** What the model's history tells, in order. */
export async function historyKinds(): Promise<readonly string[]> {
  const entries = await store.history.list("model:fraud");
  return entries.map((entry) => entry.kind);
}
