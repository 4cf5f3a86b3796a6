/**
 * The official Python clients and TensorFlow Serving's curl examples, unmodified, against our ports.
 * What comes of each call is docs/compatibility.md (`UPDATE_COMPATIBILITY=1` writes it).
 */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

import { startServer, type TestServer } from "../support/server.ts";
import { stage } from "../support/stage.ts";
import { compatibilityPage, type Called } from "./compatibility-page.ts";
import { curlExamples } from "./curl-examples.ts";
import { REFUSED } from "./refused-calls.ts";

const run = promisify(execFile);
const python = process.env["LASTGOOD_CLIENTS_PYTHON"];
const scripts = join(import.meta.dirname, "python");
const page = join(import.meta.dirname, "../../docs/compatibility.md");

let server: TestServer;
const called: Called[] = [];

beforeAll(async () => {
  if (python === undefined)
    throw new Error("LASTGOOD_CLIENTS_PYTHON names no interpreter: npm run test:clients makes one");
  server = await startServer();
  const models = [
    ["iris", "iris/v1.0.onnx"],
    ["dtypes", "../test/fixtures/onnx/dtypes.onnx"],
    ["half_plus_two", "../test/fixtures/onnx/half-plus-two.onnx"],
  ] as const;
  for (const [name, file] of models) {
    const at = stage(server, name);
    await at.register("v1.0", file);
    await at.deploy("v1.0");
  }
});

afterAll(() => server.destroy());

async function calls(script: string, ...args: readonly string[]): Promise<readonly Called[]> {
  const { stdout } = await run(python ?? "", [join(scripts, script), ...args], {
    env: { ...process.env, PYTHONPATH: scripts, PYTHONWARNINGS: "ignore" },
    timeout: 120_000,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "[]") as readonly Called[];
}

/** Each call works, or is refused as the table says: the others, in words. */
function undecided(made: readonly Called[]): readonly string[] {
  called.push(...made);
  if (made.length === 0) return ["no call was made"];
  return made.flatMap(({ client, call, error, wrong }) => {
    const refused = REFUSED[client]?.[call];
    if (refused === undefined) return error === null ? [] : [`${client}: ${call}: ${error}`];
    const isRefused = error !== null && !wrong && error.includes(refused.text);
    return isRefused ? [] : [`${client}: ${call}: not refused with "${refused.text}": ${error}`];
  });
}

const http = (): string => `127.0.0.1:${server.ports.serve}`;

test("tritonclient over HTTP", async () => {
  expect(undecided(await calls("triton_http.py", http()))).toEqual([]);
  expect(undecided(await calls("triton_aio.py", "http", http()))).toEqual([]);
});

test("tritonclient over gRPC", async () => {
  expect(undecided(await calls("triton_grpc.py", server.grpcAddress))).toEqual([]);
  expect(undecided(await calls("triton_aio.py", "grpc", server.grpcAddress))).toEqual([]);
});

test("KServe's Python clients", async () => {
  expect(undecided(await calls("kserve_client.py", http(), server.grpcAddress))).toEqual([]);
});

test("TensorFlow Serving's curl examples", async () => {
  expect(undecided(await curlExamples(server.ports.serve))).toEqual([]);
});

test("docs/compatibility.md says what was seen", () => {
  const text = compatibilityPage(called, REFUSED);
  if (process.env["UPDATE_COMPATIBILITY"] === "1") writeFileSync(page, text);
  expect(readFileSync(page, "utf8")).toBe(text);
});
