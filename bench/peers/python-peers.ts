import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { example } from "../../test/support/server.ts";
import { irisBodies } from "../servers.ts";
import { environment, type Environment } from "./environment.ts";
import { scoringBodies, startProgram, type Found, type Program } from "./subject.ts";

const APPS = join(import.meta.dirname, "app");

/** Names of the peers as they stand in the table. */
export const FASTAPI = "FastAPI + onnxruntime";
export const MLFLOW = "mlflow models serve";

interface Peer {
  readonly name: string;
  /** Its folder under `app/` and its requirements. */
  readonly key: string;
  readonly bodies?: () => readonly string[];
  readonly prepare?: (bin: (program: string) => string, folder: string) => void;
  readonly program: (bin: (program: string) => string) => Omit<Program, "cwd">;
}

function saveMlflowModel(bin: (program: string) => string, folder: string): void {
  if (existsSync(join(folder, "saved"))) return;
  const { status, stderr } = spawnSync(bin("python"), ["save.py", "saved"], {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`MLflow did not save the model: ${stderr}`);
}

const PEERS: readonly Peer[] = [
  {
    name: FASTAPI,
    key: "fastapi",
    program: (bin) => ({
      command: bin("python"),
      args: () => ["serve.py"],
      path: "/v2/models/iris/infer",
    }),
  },
  {
    name: "MLServer",
    key: "mlserver",
    program: (bin) => ({
      command: bin("mlserver"),
      args: () => ["start", "."],
      path: "/v2/models/iris/infer",
      // Its one worker answers in its own process, which is faster than a pool of one.
      env: (port, [grpc, metrics]) => ({
        MLSERVER_PARALLEL_WORKERS: "0",
        MLSERVER_DEBUG: "false",
        MLSERVER_HOST: "127.0.0.1",
        MLSERVER_HTTP_PORT: String(port),
        MLSERVER_GRPC_PORT: String(grpc),
        MLSERVER_METRICS_PORT: String(metrics),
      }),
    }),
  },
  {
    name: MLFLOW,
    key: "mlflow",
    bodies: scoringBodies,
    prepare: saveMlflowModel,
    program: (bin) => ({
      command: bin("mlflow"),
      args: (port) =>
        `models serve -m saved -h 127.0.0.1 -p ${port} --env-manager local --workers 1`.split(" "),
      path: "/invocations",
      env: () => ({ PATH: `${join(bin("python"), "..")}:${process.env["PATH"] ?? ""}` }),
    }),
  },
  {
    name: "LitServe",
    key: "litserve",
    program: (bin) => ({ command: bin("python"), args: () => ["serve.py"], path: "/predict" }),
  },
  {
    name: "BentoML",
    key: "bentoml",
    program: (bin) => ({
      command: bin("bentoml"),
      args: (port) => ["serve", "service:Iris", "--host", "127.0.0.1", "--port", String(port)],
      path: "/predict",
      env: () => ({ BENTOML_DO_NOT_TRACK: "True" }),
    }),
  },
  {
    name: "Ray Serve",
    key: "ray",
    program: (bin) => ({
      command: bin("python"),
      args: () => ["serve.py"],
      path: "/predict",
      env: () => ({ RAY_USAGE_STATS_ENABLED: "0" }),
    }),
  },
];

function appFolder(key: string, work: string): string {
  const folder = join(work, "app", key);
  mkdirSync(folder, { recursive: true });
  cpSync(join(APPS, key), folder, { recursive: true });
  cpSync(example("iris/v1.0.onnx"), join(folder, "model.onnx"));
  return folder;
}

function found(
  { name, key, bodies, prepare, program }: Peer,
  made: Environment,
  work: string,
): Found {
  if (made.bin === null) return { name, missing: made.missing };
  const { bin } = made;
  const cwd = appFolder(key, work);
  prepare?.(bin, cwd);
  return {
    name,
    bodies: (bodies ?? irisBodies)(),
    start: () => startProgram({ ...program(bin), cwd }),
  };
}

/** The Python servers, each with an environment of its own under `work`. */
export async function pythonPeers(
  work: string,
  say: (text: string) => void,
): Promise<readonly Found[]> {
  const all: Found[] = [];
  for (const peer of PEERS) {
    const made = await environment(peer.key, join(work, "env"), say);
    all.push(found(peer, made, work));
  }
  return all;
}

/** The folder of the FastAPI server with the model beside it, and the Python that runs it. */
export async function fastapiFolder(
  work: string,
  say: (text: string) => void,
): Promise<{ readonly folder: string; readonly python: string } | { readonly missing: string }> {
  const made = await environment("fastapi", join(work, "env"), say);
  if (made.bin === null) return { missing: made.missing };
  return { folder: appFolder("fastapi", work), python: made.bin("python") };
}
