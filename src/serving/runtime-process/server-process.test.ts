/** A server that is looked at with patience that ends, whatever it answers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { BUILT_IN_LAUNCHERS, type Launcher } from "../../core/launcher/index.ts";
import { markedProcesses } from "../../link/process-tree/index.ts";
import { RotatedLog } from "./rotated-log.ts";
import { ServerProcess } from "./server-process.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-server-"));
const mark = `${folder}/it.sock:1;`;
const log = new RotatedLog(join(folder, "server.log"));
const started: ServerProcess[] = [];
const wanted = new AbortController().signal;

afterEach(() => Promise.all(started.splice(0).map((server) => server.end())));
afterAll(() => rmSync(folder, { recursive: true }));

const release = (): undefined => undefined;

/** Answers that begin well; from the `from`th on they never come to their end. */
function drips(from: number): string {
  return `
    let answers = 0;
    const answer = (response) => {
      answers += 1;
      response.writeHead(200);
      if (answers < ${from}) return response.end("ok");
      const timer = setInterval(() => response.write("."), 20);
      response.on("close", () => clearInterval(timer));
    };`;
}

/** A server with a script's `answer`. */
async function start(
  script: string,
  more: Partial<Launcher>,
  signal = wanted,
): Promise<ServerProcess> {
  const listen = `
    require("node:http").createServer((request, response) => answer(response, request))
      .listen(process.env.PORT, "127.0.0.1");`;
  const [base] = Object.values(BUILT_IN_LAUNCHERS);
  if (base === undefined) throw new Error("no launcher is built in");
  const command = [process.execPath, "-e", script + listen];
  const launcher: Launcher = { ...base, protocol: "json", command, ...more };
  const python = "python3";
  const environment = { python, programs: null, text: "", isManaged: false, release };
  const server = await ServerProcess.start({ launcher, environment, folder, mark, log }, signal);
  started.push(server);
  return server;
}

test("an answer that never comes to its end is not waited for beyond the time to start", async () => {
  const server = await start(drips(1), { startTimeoutMs: 1_500 });
  await expect(server.ready()).rejects.toMatchObject({
    code: "runtime.timeout",
    message: expect.stringContaining("no answer in") as string,
  });
});

test("nor is one by which it would be healthy", async () => {
  const server = await start(drips(2), { startTimeoutMs: 10_000, unhealthyMs: 400 });
  await server.ready();
  expect(await server.ended).toContain("was not healthy for 400 ms");
});

/** One thread that does one thing at a time: 25 ms of work for each request that is posted. */
const ONE_THREAD = `
  const answer = (response, { method }) => {
    const until = performance.now() + 25;
    while (method === "POST" && performance.now() < until);
    response.end("{}");
  };`;

/** Keeps 64 requests at it for `ms`; gives how many it answered, and how. */
async function saturate(
  server: ServerProcess,
  { ms, onAnswer }: { readonly ms: number; readonly onAnswer: () => void },
): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  const until = performance.now() + ms;
  const ask = async (): Promise<void> => {
    while (performance.now() < until) {
      const url = `http://127.0.0.1:${server.port}/predict`;
      const { status } = await fetch(url, { method: "POST", body: "{}" });
      statuses[status] = (statuses[status] ?? 0) + 1;
      onAnswer();
    }
  };
  await Promise.all(Array.from({ length: 64 }, ask));
  return statuses;
}

test("one that answers is not ended, however long its health check waits behind the work", async () => {
  const server = await start(ONE_THREAD, { startTimeoutMs: 10_000, unhealthyMs: 1_000 });
  await server.ready();
  let why: string | null = null;
  void server.ended.then((ended) => (why = ended));
  const statuses = await saturate(server, { ms: 4_000, onAnswer: () => server.answered() });
  expect(why).toBeNull();
  expect(Object.keys(statuses)).toEqual(["200"]);
});

test("one that said it answers, and then hangs, is ended all the same", async () => {
  const hangs = `
    let count = 0;
    const answer = (response) => { if ((count += 1) < 4) response.end("{}"); };`;
  const server = await start(hangs, { startTimeoutMs: 10_000, unhealthyMs: 600 });
  await server.ready();
  server.answered();
  expect(await server.ended).toContain("was not healthy for 600 ms");
});

test("what it answers to others does not outweigh that its health check says no", async () => {
  const unwell = `
    let looks = 0;
    const answer = (response) => response.writeHead((looks += 1) < 3 ? 200 : 503).end();`;
  const server = await start(unwell, { startTimeoutMs: 10_000, unhealthyMs: 400 });
  await server.ready();
  const answering = setInterval(() => server.answered(), 20);
  const why = await server.ended;
  clearInterval(answering);
  expect(why).toMatch(/was not healthy for 400 ms: GET .*: 503/);
});

test("what it answers is told, not that the time to start cut the last look short", async () => {
  const late = `
    const answer = (response) => setTimeout(() => response.writeHead(503).end(), 300);`;
  const server = await start(late, { startTimeoutMs: 1_500 });
  await expect(server.ready()).rejects.toMatchObject({
    code: "runtime.timeout",
    message: expect.stringMatching(/not ready within 1500 ms: GET .*: 503/) as string,
  });
});

test("one that is not wanted any more while a port is looked for is not started", async () => {
  const unwanted = new AbortController();
  const starting = start(drips(2), {}, unwanted.signal);
  unwanted.abort(new LastgoodError("runtime.unavailable", "it is ending"));
  await expect(starting).rejects.toMatchObject({ code: "runtime.unavailable" });
  expect(markedProcesses(mark)).toEqual([]);
});
