/** Law 2: what a rollback goes to is proven beforehand, and what is not is passed over and said. */
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Deployed, RolledBack } from "../../src/core/api/index.ts";
import { checkProven } from "../support/law-checks/proven.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { stage } from "../support/stage.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.destroy());

test.concurrent("v1.0 stable, v1.1 failed, v1.2 stable: with v1.1 serving, a rollback goes to v1.0", async () => {
  const named = stage(server, "named");
  await named.stable("v1.0", "v1.1");
  await named.register("v1.2");
  await named.mark("v1.2", "stable", "it is fine elsewhere");
  const marked = await named.tell("mark", "named@v1.1", "failed", "--reason", "wrong scores");
  expect(marked).toMatchObject({
    code: 0,
    value: { consequences: [expect.stringContaining("no traffic moved")] },
  });
  expect(await named.answering()).toEqual(["v1.1"]);
  const done = await named.tell<RolledBack>("rollback", "named");
  expect(done).toMatchObject({
    code: 0,
    value: { from: { version: "v1.1" }, to: { version: "v1.0", revision: 1 }, verified: true },
  });
  expect(await named.answering()).toEqual(["v1.0"]);
});

test.concurrent("a failed revision in between is passed over, with its reason", async () => {
  const between = stage(server, "between");
  await between.stable("v1.0", "v1.1");
  await between.tell("rollback", "between", "--reason", "error rate");
  await between.register("v1.2");
  await between.deploy("v1.2");
  const done = await between.tell<RolledBack>("rollback", "between");
  expect(done).toMatchObject({
    code: 0,
    value: {
      to: { version: "v1.0" },
      passedOver: [{ version: "v1.1", why: "failed: error rate" }],
    },
  });
});

test.concurrent("nothing stable yet: the provisional revision is gone back to, and the answer says what it is", async () => {
  const young = stage(server, "young");
  await young.register("v1.0");
  await young.register("v1.1");
  await young.deploy("v1.0", { bakeMs: 600_000 });
  const over = await young.tell<Deployed>("deploy", "young@v1.1", "--replace", "--bake", "10m");
  expect(over).toMatchObject({ code: 0, value: { started: true, verified: true } });
  const done = await young.tell<RolledBack>("rollback", "young");
  expect(done).toMatchObject({
    code: 0,
    value: { to: { version: "v1.0" }, why: expect.stringContaining("never survived a bake") },
  });
});

test.concurrent("the first deployment ever has nowhere to go back to: exit 4, still serving, and what to type", async () => {
  const first = stage(server, "first");
  await first.register("v1.0");
  await first.deploy("v1.0", { bakeMs: 600_000 });
  for (const verb of [["rollback"], ["rollout", "abort"]]) {
    const refusal = await first.refused(4, ...verb, "first");
    expect(refusal.code).toBe("target.none");
    expect(refusal.hint).toContain("lastgood deploy first@<version> --to first --replace");
  }
  const marked = await first.refused(4, "mark", "first@v1.0", "failed");
  expect(marked.hint).toContain("--replace");
  expect(await first.answering()).toEqual(["v1.0"]);
  expect((await server.client.version("first", "v1.0")).status).toBe("pending");
});

test.concurrent("all failed: exit 4, still serving, each named with its reason; the next deploy says there is no way back", async () => {
  const worn = stage(server, "worn");
  await worn.stable("v1.0", "v1.1", "v1.2");
  await worn.mark("v1.0", "failed", "too old");
  await worn.mark("v1.1", "failed", "error rate");
  const refusal = await worn.refused(4, "rollback", "worn");
  expect(refusal).toMatchObject({
    code: "target.none",
    passedOver: [
      { version: "v1.1", why: "failed: error rate" },
      { version: "v1.0", why: "failed: too old" },
    ],
  });
  const said = await server.cli(["rollback", "worn"]);
  expect(said).toMatchObject({ code: 4, stdout: "" });
  expect(said.stderr).toContain("v1.1: failed: error rate\n  v1.0: failed: too old");
  expect(await worn.answering()).toEqual(["v1.2"]);

  await worn.mark("v1.2", "failed", "this one too");
  await worn.register("v1.3");
  const deployed = await worn.tell<Deployed>("deploy", "worn@v1.3");
  expect(deployed).toMatchObject({
    code: 0,
    value: { notes: [expect.stringContaining("no way back: v1.2 is failed")] },
  });
  expect((await worn.view()).alarms.join()).toContain("no way back");
});

test.concurrent("what is archived is passed over, unless it is named with --force", async () => {
  const put = stage(server, "put-away");
  await put.stable("v1.0", "v1.1", "v1.2");
  for (const needed of ["v1.2", "v1.1"]) {
    const refused = await put.refused(4, "archive", `put-away@${needed}`);
    expect(refused.code).toBe("version.in-use");
  }
  const archived = await put.tell("archive", "put-away@v1.0", "--reason", "old");
  expect(archived).toMatchObject({ code: 0, value: { status: "archived" } });
  await put.mark("v1.1", "failed", "bad");
  const refusal = await put.refused(4, "rollback", "put-away");
  expect(refusal.passedOver).toEqual(
    expect.arrayContaining([{ version: "v1.0", why: "archived: old" }]),
  );
  const barred = await put.refused(4, "rollback", "put-away", "--version", "v1.0");
  expect(barred).toMatchObject({ code: "target.unproven" });
  const forced = await put.tell<RolledBack>("rollback", "put-away", "--version", "v1.0", "--force");
  expect(forced).toMatchObject({ code: 0, value: { to: { version: "v1.0" }, verified: true } });
});

test.concurrent("another signature: refused and passed over, a deliberate change takes --force and no canary", async () => {
  const changed = stage(server, "changed");
  await changed.stable("v1.0");
  await changed.register("v2.0", "iris/v2.0-renamed.onnx");
  const rejected = await changed.refused(4, "deploy", "changed@v2.0");
  expect(rejected).toMatchObject({ code: "preflight.rejected" });
  expect(rejected.message).toContain("features");
  expect(rejected.details["differences"]).not.toEqual([]);
  const canary = ["deploy", "changed@v2.0", "--strategy", "canary", "--force"];
  expect(await changed.refused(4, ...canary)).toMatchObject({ code: "signature.mismatch" });

  const forced = await changed.tell<Deployed>("deploy", "changed@v2.0", "--force", "--bake", "0s");
  expect(forced).toMatchObject({ code: 0, value: { verified: true } });
  const renamed = JSON.stringify({
    inputs: [{ name: "inputs", shape: [1, 4], datatype: "FP32", data: [5.1, 3.5, 1.4, 0.2] }],
  });
  expect(await changed.score(renamed)).toMatchObject({ status: 200, version: "v2.0" });
  expect(await changed.score()).toMatchObject({ status: 400 });

  const refusal = await changed.refused(4, "rollback", "changed");
  expect(refusal.passedOver).toEqual([
    { version: "v1.0", why: expect.stringMatching(/^signature: .*inputs/) },
  ]);
  const back = await changed.tell<RolledBack>(
    "rollback",
    "changed",
    "--version",
    "v1.0",
    "--force",
  );
  expect(back).toMatchObject({ code: 0, value: { to: { version: "v1.0" }, verified: true } });
  expect(await changed.score()).toMatchObject({ status: 200, version: "v1.0" });
});

test.concurrent("a flipped byte in a cold target: passed over and said, exit 4 where it is the only one, still serving", async () => {
  await expect(checkProven(server)).resolves.toBeUndefined();
});

test.concurrent("a flipped byte or a missing file: cold ones are passed over, a warm proven one still takes over", async () => {
  const rotten = stage(server, "rotten");
  await rotten.stable("v0.9", "v1.0", "v1.1", "v1.2");
  await rotten.unloadedTo(2);
  rotten.flipByte("v1.0");
  rotten.loseFile("v1.1");
  // v1.1 is warm: what is loaded was hashed from the very bytes that were loaded.
  const left = await rotten.tell<RolledBack>("rollback", "rotten");
  expect(left).toMatchObject({
    code: 0,
    value: { to: { version: "v1.1" }, warm: true, verified: true },
  });
  const doctor = await rotten.tell<{ ok: boolean }>("doctor");
  expect(doctor).toMatchObject({ code: 1, value: { ok: false } });
  const cold = await rotten.tell<RolledBack>("rollback", "rotten", "--again");
  expect(cold).toMatchObject({
    code: 0,
    value: {
      from: { version: "v1.1" },
      to: { version: "v0.9" },
      verified: true,
      passedOver: expect.arrayContaining([
        // Found by the control plane, or by the gateway, which was to have it warm as the next target.
        { version: "v1.0", why: expect.stringMatching(/does not match its digest$/) as string },
      ]),
    },
  });
  // No force overrides a digest; as long as it is loaded, its file is not needed.
  await until("v1.1 is unloaded", async () => {
    const { revisions } = await rotten.view();
    return revisions.every(({ revision, warm }) => revision !== left.value.to.revision || !warm);
  });
  const named = ["rollback", "rotten", "--version", "v1.1", "--force"];
  const refusal = await rotten.refused(4, ...named);
  expect(refusal).toMatchObject({
    code: "target.unproven",
    passedOver: [{ version: "v1.1", why: "v1.1.onnx is missing from the store" }],
  });
  expect(await rotten.answering()).toEqual(["v0.9"]);
});

test.concurrent("typed twice is once; --again goes further, --if-current protects, undo means the same", async () => {
  const twice = stage(server, "twice");
  await twice.stable("v1.0", "v1.1", "v1.2");
  const mismatch = await twice.refused(4, "rollback", "twice", "--if-current", "v1.1");
  expect(mismatch).toMatchObject({ code: "current.mismatch" });
  const first = await twice.tell<RolledBack>("rollback", "twice", "--if-current", "v1.2");
  expect(first).toMatchObject({ code: 0, value: { to: { version: "v1.1" }, already: false } });
  const second = await twice.tell<RolledBack>("undo", "twice");
  expect(second).toMatchObject({
    code: 0,
    value: { already: true, to: { version: "v1.1" }, switchMs: first.value.switchMs },
  });
  const said = await server.cli(["rollback", "twice"]);
  expect(said.stdout).toMatch(/already rolled back to v1\.1, .*, by tester/);
  const again = await twice.tell<RolledBack>("undo", "twice", "--again");
  expect(again).toMatchObject({ code: 0, value: { to: { version: "v1.0" }, already: false } });
});

test.concurrent("a version is named by name, sequence number, alias and revision", async () => {
  const spelled = stage(server, "spelled");
  await spelled.stable("v1.0", "v1.1", "v1.2", "v1.3");
  expect((await spelled.tell("alias", "spelled@v1.1", "champion")).code).toBe(0);
  // `mlops` is the same bundle: `mlops rollback --version 3`.
  const spellings = [
    [["spelled", "--version", "3"], "v1.2"],
    [["spelled", "--version", "@champion"], "v1.1"],
    [["spelled", "--to-revision", "1"], "v1.0"],
    [["--version", "models:/spelled/2", "spelled", "--force"], "v1.1"],
    [["spelled@v1.0"], "v1.0"],
  ] as const;
  for (const [args, version] of spellings) {
    const done = await spelled.tell<RolledBack>("rollback", ...args, "--keep-status");
    expect(done, `with ${args.join(" ")}`).toMatchObject({
      code: 0,
      value: { to: { version }, verified: true, why: "named by tester" },
    });
  }
  const nothing = await spelled.refused(1, "rollback", "spelled", "--version", "v9.9");
  expect(nothing.code).toBe("version.not-found");
  const absent = await spelled.refused(1, "rollback", "spelled", "--to-revision", "99");
  expect(absent.code).toBe("revision.not-found");
});

test.concurrent("a version that failed at another endpoint is told and moves no traffic; staging proves nothing", async () => {
  const wide = stage(server, "wide");
  await wide.stable("v1.0", "v1.1");
  await server.client.deploy({
    reference: "wide@v1.1",
    endpoint: "wide-staging",
    environment: "staging",
    actor: "tester",
  });
  await wide.register("v1.2");
  await server.client.deploy({
    reference: "wide@v1.2",
    endpoint: "wide-staging",
    bakeMs: 0,
    actor: "tester",
  });
  expect((await server.client.version("wide", "v1.2")).status).toBe("pending");
  const done = await wide.tell("rollback", "wide-staging", "--reason", "fails in staging");
  expect(done.code).toBe(0);
  expect((await server.client.version("wide", "v1.2")).status).toBe("failed");
  expect(await wide.answering()).toEqual(["v1.1"]);
  expect((await wide.view()).current).toMatchObject({ version: "v1.1" });
});
