import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";

import {
  gateway,
  historyKinds,
  register,
  registry,
  prepare,
  setNeeded,
  store,
  tidyUp,
} from "../../../test/support/registry-fixture.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { verifyChain } from "../../storage/history/index.ts";

beforeEach(prepare);
afterEach(tidyUp);

async function sequenceOf(text: string): Promise<string> {
  const { model, sequence } = await registry.reference(text);
  return `${model} ${sequence}`;
}

test("a version is found by name, number, alias and every kind of reference", async () => {
  await register("2", "v1.0");
  await register("3", "v1.1");
  await register("4", "v2", { model: "fraud_v1" });
  const second = await registry.version("fraud", "v1.1");
  await registry.setAlias(second, "champion", "ana");
  for (const text of ["fraud@v1.1", "fraud:v1.1", "fraud_v1.1", "fraud@2", "models:/fraud/2"])
    expect(await sequenceOf(text)).toBe("fraud 2");
  for (const text of ["fraud@champion", "models:/fraud@champion", "fraud:champion"])
    expect(await sequenceOf(text)).toBe("fraud 2");
  expect(await sequenceOf("fraud_v1_v2")).toBe("fraud_v1 1");
  for (const selector of ["v1.1", "2", "@champion", "champion"])
    expect((await registry.version("fraud", selector)).sequence).toBe(2);
});

async function hintOf(work: Promise<unknown>): Promise<unknown> {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  return error instanceof LastgoodError ? [error.code, error.hint] : error;
}

test("what is not found comes with what may have been meant", async () => {
  await register("2", "v1.0");
  await register("3", "v1.1");
  await registry.setAlias(await registry.version("fraud", "v1.0"), "champion", "ana");
  expect(await hintOf(registry.model("fruad"))).toEqual(["model.not-found", "did you mean fraud?"]);
  expect(await hintOf(registry.model("iris"))).toEqual(["model.not-found", "there are fraud"]);
  expect(await hintOf(registry.versions({ model: "frau" }))).toEqual([
    "model.not-found",
    "did you mean fraud?",
  ]);
  expect(await hintOf(registry.version("fraud", "v1.2"))).toEqual([
    "version.not-found",
    "did you mean v1.1 or v1.0?",
  ]);
  expect(await hintOf(registry.version("fraud", "7"))).toEqual([
    "version.not-found",
    "its newest are v1.1, v1.0",
  ]);
  expect(await hintOf(registry.version("fraud", "@chmpion"))).toEqual([
    "alias.not-found",
    "did you mean champion?",
  ]);
  expect(await hintOf(registry.reference("fraud"))).toEqual([
    "reference.invalid",
    "for example fraud@v1.1",
  ]);
});

test("no text that people could type as a reference breaks anything", async () => {
  await register("2", "v1.0");
  const codes = [
    "reference.invalid",
    "name.invalid",
    "model.not-found",
    "version.not-found",
    "alias.not-found",
  ];
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string().map((text) => `fraud@${text}`),
    fc.string().map((text) => `fraud_${text}`),
    fc.string().map((text) => `models:/${text}`),
    fc.constantFrom(
      "fraud@",
      "@",
      "_",
      "fraud@@x",
      "models:/",
      "runs:/a/b",
      "fraud@v1.0@v1.0",
      "'; drop table versions",
    ),
  );
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const found: unknown = await registry.reference(text).catch((error: unknown) => error);
      const outcome = found instanceof LastgoodError ? found.code : "found";
      expect([...codes, "found"]).toContain(outcome);
    }),
    { numRuns: 200 },
  );
});

test("tags, aliases and verdicts change a version and are in its history", async () => {
  const { version } = await register("2", "v1.0", { tags: { old: "1" } });
  const { version: next } = await register("3", "v1.1");
  expect(
    await registry.tag(version, { set: { team: "risk" }, unset: ["old"], actor: "bo" }),
  ).toMatchObject({
    tags: { team: "risk" },
  });
  await registry.setAlias(version, "champion", "bo");
  await registry.setAlias(version, "champion", "bo");
  expect(await registry.setAlias(next, "champion", "bo")).toMatchObject({ aliases: ["champion"] });
  await registry.deleteAlias("fraud", "champion", "bo");
  await expect(registry.version("fraud", "@champion")).rejects.toMatchObject({
    code: "alias.not-found",
  });
  const failed = await registry.mark(version, {
    status: "failed",
    reason: "error rate",
    actor: "bo",
  });
  expect(failed).toMatchObject({ status: "failed", statusReason: "error rate" });
  await registry.mark(failed, { status: "failed", reason: "error rate", actor: "bo" });
  expect(
    await registry.mark(failed, { status: "stable", reason: null, actor: "bo" }),
  ).toMatchObject({
    status: "stable",
    statusReason: null,
  });
  const entries = await store.history.list("model:fraud");
  expect(verifyChain(entries)).toMatchObject({ ok: true });
  expect(entries.slice(2).map((entry) => [entry.kind, entry.actor])).toEqual(
    ["tagged", "aliased", "aliased", "alias deleted", "marked", "marked"].map((kind) => [
      kind,
      "bo",
    ]),
  );
});

test("a verdict or an archiving that is repeated is done once, whatever was said since", async () => {
  const { version } = await register("2", "v1.0");
  const verdict = { status: "failed", reason: "error rate", actor: "bo" } as const;
  const failed = await registry.mark(version, verdict, "op-1");
  const stable = await registry.mark(failed, { ...verdict, status: "stable" }, "op-2");
  expect(await registry.mark(stable, verdict, "op-1")).toMatchObject({ status: "stable" });
  const how = { actor: "bo", reason: null };
  const archived = await registry.archive(stable, how, "op-3");
  const back = await registry.mark(archived, { ...verdict, status: "pending" }, "op-4");
  setNeeded(["fraud-prod serves it"]);
  expect(await registry.archive(back, how, "op-3")).toMatchObject({ status: "pending" });
  expect(await registry.mark(back, verdict, "op-5")).toMatchObject({ status: "failed" });
  const entries = await store.history.list("model:fraud");
  expect(entries.slice(1).map(({ data }) => data["status"])).toEqual([
    "failed",
    "stable",
    "archived",
    "pending",
    "failed",
  ]);
});

test("an alias and a version's name are never the same", async () => {
  const { version } = await register("2", "release");
  await expect(registry.setAlias(version, "release", "ana")).rejects.toMatchObject({
    code: "name.invalid",
  });
  await registry.setAlias(version, "champion", "ana");
  await expect(register("3", "champion")).rejects.toMatchObject({ code: "name.invalid" });
  await expect(registry.setAlias(version, "latest", "ana")).rejects.toMatchObject({
    code: "name.reserved",
  });
  await expect(registry.deleteAlias("fraud", "never", "ana")).rejects.toMatchObject({
    code: "alias.not-found",
  });
});

test("a model that differs from another in case alone is refused", async () => {
  await register("2", "v1.0");
  await expect(register("2", "v1.0", { model: "Fraud" })).rejects.toMatchObject({
    code: "name.invalid",
    hint: "did you mean fraud?",
  });
});

test("archiving what an endpoint needs is refused, naming the endpoint", async () => {
  const { version } = await register("2", "v1.0");
  const how = { actor: "ana", reason: "old" };
  setNeeded(["fraud-prod serves it"]);
  await expect(registry.archive(version, how)).rejects.toMatchObject({
    code: "version.in-use",
    message: "fraud@v1.0 is needed: fraud-prod serves it",
  });
  setNeeded([]);
  expect(await registry.archive(version, { ...how, dryRun: true })).toMatchObject({
    status: "pending",
  });
  const archived = await registry.archive(version, how);
  expect(archived).toMatchObject({ status: "archived", statusReason: "old" });
  await registry.archive(archived, how);
  expect(await historyKinds()).toEqual(["registered", "archived"]);
  expect(await registry.version("fraud", "v1.0")).toMatchObject({ status: "archived" });
});

test("two versions are compared field by field, and by their answers to the same inputs", async () => {
  const example = { inputExample: [[3, 4]] };
  const a = await register("2", "v1.0", {
    ...example,
    metrics: { auc: 0.5, old: 1 },
    params: { depth: "6" },
  });
  const b = await register("4", "v1.1", {
    ...example,
    metrics: { auc: 0.75, new: 2 },
    params: { depth: "6" },
  });
  gateway.requests.length = 0;
  const diff = await registry.diff(a.version, b.version);
  const row = (section: string, field: string) =>
    diff.rows.find((one) => one.section === section && one.field === field);
  expect(diff).toMatchObject({ model: "fraud", left: "v1.0", right: "v1.1" });
  expect(row("metrics", "auc")).toMatchObject({
    left: 0.5,
    right: 0.75,
    equal: false,
    change: 0.25,
  });
  expect(row("metrics", "old")).toMatchObject({ left: 1, right: null, equal: false, change: null });
  expect(row("metrics", "new")).toMatchObject({ left: null, right: 2 });
  expect(row("params", "depth")).toMatchObject({ equal: true });
  expect(row("signature", "input x")).toMatchObject({ left: "x FP32 [any, 2]", equal: true });
  expect(row("files", "model.onnx")).toMatchObject({ equal: false });
  expect(row("samples", "sample 1 y")).toMatchObject({ left: [6], right: [12], equal: false });
  expect(gateway.requests).toEqual([]);
});

test("samples that were recorded on other inputs are run again to compare answers", async () => {
  const a = await register("2", "v1.0");
  const b = await register("4", "v1.1");
  const samplesOf = async () =>
    (await registry.diff(a.version, b.version)).rows.filter((row) => row.section === "samples");
  expect(await samplesOf()).toMatchObject([
    { field: "sample 1 y", left: [4], right: [8], equal: false },
  ]);
  gateway.connected = false;
  expect(await samplesOf()).toMatchObject([
    { right: "could not be run on the same inputs: no gateway is connected" },
  ]);
});

test("a version equals itself in everything", async () => {
  const { version } = await register("2", "v1.0", { metrics: { auc: 1 }, tags: { a: "b" } });
  const { rows } = await registry.diff(version, version);
  expect(rows.filter((row) => !row.equal)).toEqual([]);
  expect(rows.length).toBeGreaterThan(10);
});
