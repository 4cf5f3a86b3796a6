import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { example, freePort, processesOf, TestServer } from "../../test/support/server.ts";
import { irisBodies } from "../servers.ts";
import { LOAD_CORE, MEASURED_CORE, moveTo, startedOn } from "./core.ts";
import { lastLine } from "./rounds.ts";
import type { Found, Running, Subject } from "./subject.ts";

/** Names of ours as they stand in the tables. */
export const NATIVE = "lastgood, onnx";
export const SCORING = "lastgood, onnx, MLflow scoring";
export const MANAGED = "lastgood, process: FastAPI";
export const MANAGED_ALONE = "lastgood, process: FastAPI, gateway on the other core";
export const REMOTE = "lastgood, remote";
export const PASSED = "lastgood, pass-through";

const INFER = "/v2/models/iris/infer";

interface Version {
  readonly register: readonly string[];
  readonly serve: readonly string[];
}

/** A data folder with one version of iris served, of a server that has ended again. */
class Prepared {
  readonly #dist: string;
  readonly #dataDir: string;
  readonly #args: readonly string[];

  private constructor(dist: string, dataDir: string, args: readonly string[]) {
    this.#dist = dist;
    this.#dataDir = dataDir;
    this.#args = args;
  }

  static async make(dist: string, { register, serve }: Version): Promise<Prepared> {
    const dataDir = mkdtempSync(join(tmpdir(), "lastgood-bench-"));
    const prepared = new Prepared(dist, dataDir, ["--workers", "1", ...serve]);
    const server = await prepared.#server();
    try {
      await server.start({ args: prepared.#args });
      await server.json(["register", "iris", ...register, "--version", "v1.0"]);
      await server.json(["deploy", "iris@v1.0"]);
      await server.terminate();
      return prepared;
    } catch (error) {
      await server.destroy();
      throw error;
    }
  }

  async start(path: string): Promise<Running> {
    const server = await this.#server();
    await startedOn(MEASURED_CORE, () => server.start({ args: this.#args, unready: true }));
    return {
      url: `${server.serveUrl}${path}`,
      roots: [server.pid],
      stop: async () => {
        await server.terminate();
        await server.end();
      },
    };
  }

  /** Its own processes stay on the load generator's core, what they keep stays where it is. */
  moveAway(): void {
    moveTo(
      LOAD_CORE,
      processesOf(this.#dataDir).map(({ pid }) => pid),
    );
  }

  remove(): void {
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  async #server(): Promise<TestServer> {
    const ports = { api: await freePort(), serve: await freePort() };
    return new TestServer(this.#dataDir, ports, { dist: this.#dist });
  }
}

/** The native runtime: as a server of the Open Inference Protocol and as one of MLflow scoring. */
export async function nativeSubjects(
  dist: string,
  scoring: readonly string[],
): Promise<readonly Subject[]> {
  const prepared = await Prepared.make(dist, {
    register: [example("iris/v1.0.onnx")],
    serve: [],
  });
  const remove = async (): Promise<void> => prepared.remove();
  return [
    { name: NATIVE, bodies: irisBodies(), start: () => prepared.start(INFER), remove },
    { name: SCORING, bodies: scoring, start: () => prepared.start("/invocations") },
  ];
}

function config(text: object): string {
  const path = join(mkdtempSync(join(tmpdir(), "lastgood-bench-")), "server.yaml");
  writeFileSync(path, JSON.stringify(text));
  return path;
}

/** The same server as a managed process: on one core with us, and on a core of its own. */
export async function managedSubjects(
  dist: string,
  { folder, python }: { readonly folder: string; readonly python: string },
): Promise<readonly Found[]> {
  const launcher = { command: [python, "serve.py"], protocol: "oip", model: "iris", retries: true };
  const path = config({ launchers: { fastapi: launcher } });
  try {
    const prepared = await Prepared.make(dist, {
      register: [folder, "--runtime", "process", "--launcher", "fastapi"],
      serve: ["--config", path, "--allow-code"],
    });
    const start = (): Promise<Running> => prepared.start(INFER);
    const bodies = irisBodies();
    return [
      { name: MANAGED, bodies, start, remove: async () => prepared.remove() },
      { name: MANAGED_ALONE, bodies, start, onReady: () => prepared.moveAway() },
    ];
  } catch (error) {
    return [MANAGED, MANAGED_ALONE].map((name) => ({ name, missing: lastLine(error) }));
  }
}

/** A server elsewhere, as `server.yaml` names it, and where it is asked through us. */
interface Elsewhere {
  readonly name: string;
  readonly remote: object;
  readonly path: string;
}

async function elsewhereSubject(dist: string, { name, remote, path }: Elsewhere): Promise<Subject> {
  const prepared = await Prepared.make(dist, {
    register: ["--runtime", "remote", "--remote", "upstream"],
    serve: ["--config", config({ remotes: { upstream: remote } })],
  });
  return {
    name,
    bodies: irisBodies(),
    start: () => prepared.start(path),
    remove: async () => prepared.remove(),
  };
}

/** The `remote` runtime in front of a server of the Open Inference Protocol. */
export function remoteSubject(dist: string, url: string): Promise<Subject> {
  const remote = { url, protocol: "oip", model: "iris" };
  return elsewhereSubject(dist, { name: REMOTE, remote, path: INFER });
}

/** The same server passed through: what is asked and answered is not read. */
export function passThroughSubject(dist: string, url: string): Promise<Subject> {
  const remote = { url, protocol: "passthrough" };
  return elsewhereSubject(dist, { name: PASSED, remote, path: `/endpoints/iris${INFER}` });
}
