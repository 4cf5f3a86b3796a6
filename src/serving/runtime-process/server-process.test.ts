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
    require("node:http").createServer((_, response) => answer(response))
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
