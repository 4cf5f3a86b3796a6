/** Law 7: with the control plane stopped (SIGSTOP) a rollback happens, and is history afterwards. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import {
  answeringVersions,
  deployIris,
  goForward,
  irisLoad,
  rollbacksIn,
  settledOn,
  typeRollback,
  type Agreement,
} from "../support/iris-endpoint.ts";
import { startServer, until, type TestServer } from "../support/server.ts";

/** The API gets 1 s to answer; the rest is the start of the command and a busy machine. */
const ANSWER_MS = 3_000;

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await deployIris(server);
});

afterEach(() => signalControl("SIGCONT"));
afterAll(() => server.destroy());

function signalControl(signal: "SIGSTOP" | "SIGCONT"): void {
  for (const pid of server.pids.control) process.kill(pid, signal);
}

/** What the control plane knows once it goes on: one more rollback, made by the gateway. */
async function oneMoreByTheGateway(before: Agreement, reason: string): Promise<void> {
  const after = await settledOn(server, "v1.0");
  const added = rollbacksIn(after.history).slice(rollbacksIn(before.history).length);
  expect(added).toMatchObject([{ actor: "tester", reason, data: { via: "gateway" } }]);
  expect(after.view.revisions.at(-1)).toMatchObject({ version: "v1.1", status: "failed", reason });
  const versions = await server.client.versions("iris");
  expect(versions.find(({ name }) => name === "v1.1")).toMatchObject({ status: "failed" });
}

test("a rollback with the control plane stopped goes through the gateway, is one when typed twice, and is in history afterwards", async () => {
  const before = await settledOn(server, "v1.1");
  const load = irisLoad(server, 16);
  await until("there is load", () => load.answers.length > 100);
  signalControl("SIGSTOP");
  const first = await typeRollback(server, "--reason", "nobody decides");
  expect(first.tookMs).toBeLessThan(ANSWER_MS);
  expect(first.stderr).toContain("asking the gateway itself");
  expect(first.answer).toMatchObject({
    via: "gateway",
    historyHead: null,
    from: { version: "v1.1" },
    to: { version: "v1.0" },
    warm: true,
    verified: true,
    durable: true,
    failedRequests: 0,
    already: false,
  });
  expect(await answeringVersions(server)).toEqual(["v1.0"]);
  const second = await typeRollback(server, "--reason", "typed again");
  expect(second.answer).toMatchObject({
    via: "gateway",
    already: true,
    to: { version: "v1.0" },
    switchMs: first.answer.switchMs,
  });
  signalControl("SIGCONT");
  await oneMoreByTheGateway(before, "nobody decides");
  const answered = load.answers.length;
  await until("requests go on", () => load.answers.length > answered + 100);
  await load.stop();
  expect(load.failures).toEqual([]);
  await goForward(server);
});

test("--direct asks the gateway at once, and what it did is in history", async () => {
  const before = await settledOn(server, "v1.1");
  const { answer, stderr } = await typeRollback(server, "--direct", "--reason", "no detour");
  expect(answer).toMatchObject({
    via: "gateway",
    historyHead: null,
    to: { version: "v1.0" },
    verified: true,
    failedRequests: 0,
  });
  expect(stderr).not.toContain("does not answer");
  await oneMoreByTheGateway(before, "no detour");
  await goForward(server);
});

/** Types a rollback that is refused, and gives the error it ends with. */
async function refused(...args: readonly string[]): Promise<unknown> {
  const { code, stdout } = await server.cli(["rollback", ...args, "--json"]);
  expect(code, `rollback ${args.join(" ")}`).toBe(4);
  return (JSON.parse(stdout) as { readonly error: unknown }).error;
}

test("the gateway alone goes to proven versions only, and --if-current means what it does with the control plane", async () => {
  await settledOn(server, "v1.1");
  await typeRollback(
    server,
    "--direct",
    "--if-current",
    "models:/iris/v1.1",
    "--version",
    "iris:v1.0",
  );
  await settledOn(server, "v1.0");
  const again = await typeRollback(server, "--direct", "--version", "1");
  expect(again.answer).toMatchObject({ already: true, to: { version: "v1.0" } });
  const canary = { reference: "iris@v1.1", force: true, strategy: "canary", weight: 10 } as const;
  await server.client.deploy({ actor: "tester", ...canary });
  for (const plane of [["--direct"], []]) {
    expect(await refused(...plane, "--if-current", "v1.0")).toMatchObject({
      code: "current.mismatch",
      message: expect.stringContaining("would leave v1.1, not v1.0") as string,
    });
    await refused(...plane, "--version", "v1.1");
  }
  expect(await refused("--direct", "--version", "v1.1")).toMatchObject({
    code: "target.none",
    hint: expect.stringContaining("without --version goes to v1.0") as string,
    passedOver: [{ version: "v1.1", why: "it is being rolled out, and is not proven yet" }],
  });
  expect((await server.client.endpoint("iris-prod")).split).toHaveLength(2);
  const guarded = await typeRollback(server, "--direct", "--if-current", "v1.1");
  expect(guarded.answer).toMatchObject({ from: { version: "v1.1" }, to: { version: "v1.0" } });
  const typedAgain = await typeRollback(server, "--if-current", "v1.1");
  expect(typedAgain.answer).toMatchObject({ already: true, to: { version: "v1.0" } });
  const { view } = await settledOn(server, "v1.0");
  expect(view.current).toMatchObject({ version: "v1.0" });
  const versions = await server.client.versions("iris");
  expect(versions.find(({ name }) => name === "v1.0")).toMatchObject({ status: "stable" });
  await goForward(server);
});

test("a rollback by the gateway outlives the death of everything before the control plane heard of it", async () => {
  const before = await settledOn(server, "v1.1");
  signalControl("SIGSTOP");
  const { answer } = await typeRollback(server, "--direct", "--reason", "then the lights went out");
  expect(answer).toMatchObject({ to: { version: "v1.0" }, verified: true, durable: true });
  server.killAll();
  await until("everything is gone", () => server.processes.length === 0);
  await server.start();
  await oneMoreByTheGateway(before, "then the lights went out");
  await goForward(server);
});
