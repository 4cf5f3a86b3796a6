import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { heldOutRows } from "../test/support/rows.ts";
import { freePort, startServer, until, type TestServer } from "../test/support/server.ts";

/** A server that is measured beside ours. */
export interface PeerServer {
  readonly url: string;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** The held-out rows of iris as requests of the Open Inference Protocol, one row each. */
export function irisBodies(): readonly string[] {
  return heldOutRows("iris").map(({ features }) =>
    JSON.stringify({
      inputs: [{ name: "features", shape: [1, features.length], datatype: "FP32", data: features }],
    }),
  );
}

/** A server with iris v1.0 and v1.1 registered and v1.0 served. */
export async function irisServer(
  dist: string,
  args: readonly string[] = [],
  folder = tmpdir(),
): Promise<TestServer> {
  const dataDir = mkdtempSync(join(folder, "lastgood-bench-"));
  const server = await startServer({ dist, args, dataDir });
  try {
    await server.register("iris", "v1.0", "iris/v1.0.onnx");
    await server.register("iris", "v1.1", "iris/v1.1.onnx");
    await server.json(["deploy", "iris@v1.0"]);
    return server;
  } catch (error) {
    await server.destroy();
    throw error;
  }
}

/** Where a server answers inference requests. */
export function inferUrl(server: TestServer): string {
  return `${server.serveUrl}/v2/models/iris/infer`;
}

/** Processes that a request goes through. */
export function servingPids(server: TestServer): readonly number[] {
  const { gateway, models } = server.pids;
  return [...gateway, ...models];
}

/** One request; the answer's text. */
export async function ask(url: string, body: string | null): Promise<string> {
  const response = await fetch(
    url,
    body === null ? {} : { method: "POST", headers: { "content-type": "application/json" }, body },
  );
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return text;
}

/**
 * Starts a program that listens on the port that `args` and $PORT give it. Null where it ends instead:
 * what it needs is not installed.
 */
export async function startPeer(
  command: string,
  args: (port: number) => readonly string[],
  path: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<PeerServer | null> {
  const port = await freePort();
  const child = spawn(command, args(port), {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...variables, PORT: String(port) },
  });
  let failed = false;
  child.once("error", () => (failed = true));
  child.once("exit", () => (failed = true));
  child.stderr.resume();
  await until("the peer listens", async () => failed || !(await isFree(port)), 30_000);
  if (failed || child.pid === undefined) return null;
  return {
    url: `http://127.0.0.1:${port}${path}`,
    pids: [child.pid],
    stop: () => ended(child),
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** A file beside the benchmarks. */
export function benchFile(path: string): string {
  return join(import.meta.dirname, path);
}

/** What a program printed and how it ended. */
export interface ProgramRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly ms: number;
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<ProgramRun> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "ignore"] });
    let stdout = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, ms: performance.now() - startedAt }));
  });
}
