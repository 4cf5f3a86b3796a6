import { expect, test } from "vitest";

import { digestOf, signatureOf, versionOf } from "../../../test/support/rollout-facts.ts";
import { facts, proven, revision } from "../../../test/support/target-facts.ts";
import type { Revision, RevisionStatus } from "../endpoint/index.ts";
import type { RuntimeSpec } from "../version/index.ts";
import {
  chooseTargets,
  namedObjection,
  semanticVersion,
  type Proof,
  type TargetFacts,
  type VersionFacts,
} from "./choose.ts";

function taken(from: TargetFacts): readonly (string | null)[] {
  return chooseTargets(from).targets.map((target) => target.version.name);
}

test("v1.0 stable, v1.1 failed, v1.2 stable with v1.1 serving gives v1.0", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", revision: "stable", version: "stable" },
    { name: "v1.1", revision: "failed", version: "failed", reason: "error rate" },
    { name: "v1.2", version: "stable" },
  );
  expect(chooseTargets(from)).toMatchObject({
    targets: [{ revision: 1, version: { name: "v1.0" }, warm: true, provenAt: 1 }],
    passedOver: [],
  });
});

test("v1.0 stable, v1.1 failed, v1.2 stable, all served, with v1.1 serving again gives v1.0", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", revision: "stable" },
    { name: "v1.1", revision: "failed" },
    { name: "v1.2", revision: "stable" },
  );
  expect(taken(from)).toEqual(["v1.0"]);
});

test("the newest stable revision comes first, a failed one between is passed over with its reason", () => {
  const from = facts(
    "v1.3",
    { name: "v1.0", revision: "stable" },
    { name: "v1.1", revision: "stable" },
    { name: "v1.2", revision: "failed", reason: "error rate" },
    { name: "v1.3", revision: "provisional" },
  );
  expect(taken(from)).toEqual(["v1.1", "v1.0"]);
  expect(chooseTargets(from).passedOver).toEqual([{ version: "v1.2", why: "failed: error rate" }]);
});

test("nothing stable yet: the provisional one, and it says so", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", revision: "provisional" },
    { name: "v1.1", revision: "provisional" },
  );
  expect(chooseTargets(from).targets).toMatchObject([
    { revision: 1, why: "revision 1, never survived a bake" },
  ]);
});

test("first deployment ever: no target and nothing looked at", () => {
  expect(chooseTargets(facts("v1.0", { name: "v1.0", revision: "stable" }))).toEqual({
    targets: [],
    passedOver: [],
  });
});

test("all failed: no target, each with why", () => {
  const from = facts(
    "v1.2",
    { name: "v1.0", revision: "failed", reason: "latency" },
    { name: "v1.1", revision: "aborted" },
    { name: "v1.2", revision: "provisional" },
  );
  expect(chooseTargets(from)).toEqual({
    targets: [],
    passedOver: [
      { version: "v1.1", why: "aborted" },
      { version: "v1.0", why: "failed: latency" },
    ],
  });
});

test("a corrupt target is passed over, and why is said", () => {
  const from = facts(
    "v1.2",
    { name: "v1.0", revision: "stable" },
    {
      name: "v1.1",
      revision: "stable",
      proof: { holds: false, why: "model.onnx does not match its digest" },
    },
    { name: "v1.2", revision: "stable" },
  );
  expect(taken(from)).toEqual(["v1.0"]);
  expect(chooseTargets(from).passedOver).toEqual([
    { version: "v1.1", why: "model.onnx does not match its digest" },
  ]);
});

test("an archived version is passed over even where its revision is stable", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", revision: "stable", version: "archived" },
    { name: "v1.1", revision: "stable" },
  );
  expect(chooseTargets(from)).toEqual({
    targets: [],
    passedOver: [{ version: "v1.0", why: "archived" }],
  });
});

test("status is local first: a version that failed elsewhere stays a target where it is stable", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", revision: "stable", version: "failed", reason: "at another endpoint" },
    { name: "v1.1", revision: "stable" },
  );
  expect(taken(from)).toEqual(["v1.0"]);
});

test("a version that failed elsewhere and was never served here is passed over", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", version: "failed", reason: "at another endpoint" },
    { name: "v1.1", revision: "stable" },
  );
  expect(chooseTargets(from)).toEqual({
    targets: [],
    passedOver: [{ version: "v1.0", why: "failed: at another endpoint" }],
  });
});

test("a version that is stable elsewhere is no target where it was aborted or rejected", () => {
  for (const status of ["aborted", "rejected"] as const) {
    const from = facts(
      "v1.1",
      { name: "v1.0", revision: status, version: "stable", reason: "not here" },
      { name: "v1.1", revision: "stable" },
    );
    expect(chooseTargets(from)).toEqual({
      targets: [],
      passedOver: [{ version: "v1.0", why: `${status}: not here` }],
    });
  }
});

test("another signature is passed over, saying what differs", () => {
  const from = facts(
    "v1.1",
    { name: "v0.9", revision: "stable", dtype: "FP64" },
    { name: "v1.1", revision: "stable" },
  );
  expect(chooseTargets(from).passedOver).toEqual([
    { version: "v0.9", why: "signature: input amount became FP64 (was FP32)" },
  ]);
});

test("the way back from a revision with another signature leads to the contract's own", () => {
  const from = facts(
    "v2.0",
    { name: "v1.0", revision: "stable" },
    { name: "v2.0", revision: "provisional", dtype: "FP64" },
  );
  expect(taken({ ...from, contract: signatureOf("FP32") })).toEqual(["v1.0"]);
  expect(taken(from)).toEqual([]);
});

test("a config-only revision goes back to the same version with the configuration before", () => {
  const quantized: RuntimeSpec = { kind: "onnx", file: "quantized.onnx" };
  const version = versionOf(1, "v1.0");
  const tuned = { ...version, runtime: quantized };
  const revisions = [revision(1, version, "stable"), revision(2, tuned, "provisional")];
  const [, leaving] = revisions;
  if (leaving === undefined) throw new Error("there are two");
  const choice = chooseTargets({
    leaving,
    revisions,
    versions: [version],
    contract: signatureOf(),
    proof: () => proven,
  });
  expect(choice.targets).toMatchObject([{ revision: 1, version: { name: "v1.0" } }]);
});

test("two configurations of one version are two targets, the same one twice is one", () => {
  const quantized: RuntimeSpec = { kind: "onnx", file: "quantized.onnx" };
  const version = versionOf(1, "v1.0");
  const left = revision(4, versionOf(2, "v1.1"), "provisional");
  const revisions = [
    revision(1, version, "stable"),
    revision(2, { ...version, runtime: quantized }, "stable"),
    revision(3, version, "stable"),
    left,
  ];
  const from = { leaving: left, revisions, versions: [version], contract: signatureOf() };
  const { targets, passedOver } = chooseTargets({ ...from, proof: () => proven });
  expect(targets.map((target) => target.revision)).toEqual([3, 2]);
  expect(passedOver).toEqual([]);
});

test("the same bytes under another name are the same content", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", revision: "stable", digest: 7 },
    { name: "v1.1", revision: "stable", digest: 7 },
  );
  expect(chooseTargets(from)).toEqual({
    targets: [],
    passedOver: [{ version: "v1.0", why: "the same content as the one to leave" }],
  });
});

test("own stable revisions, then own provisional ones, then stable versions of the model", () => {
  const from = facts(
    "v1.5",
    { name: "v1.4", version: "stable" },
    { name: "v1.0", revision: "stable" },
    { name: "v1.3", revision: "provisional" },
    { name: "v1.5", revision: "provisional" },
  );
  expect(chooseTargets(from).targets.map(({ version, why }) => [version.name, why])).toEqual([
    ["v1.0", "revision 1, the newest stable one before"],
    ["v1.3", "revision 2, never survived a bake"],
    [
      "v1.4",
      "a stable version of the model, the highest lower version; this endpoint never served it",
    ],
  ]);
});

test("versions go by semantic version where the one to leave has one, not by when they came", () => {
  const from = facts(
    "v1.10",
    { name: "v1.9", version: "stable" },
    { name: "v1.2", version: "stable" },
    { name: "v1.9.1-rc1", version: "stable" },
    { name: "nightly", version: "stable" },
    { name: "v1.10", revision: "stable" },
    { name: "v2.0", version: "stable" },
    { name: "v1.3", version: "stable" },
  );
  expect(taken(from)).toEqual(["v1.9.1-rc1", "v1.9", "v1.3", "v1.2"]);
});

test("of versions that spell the same semantic version, the newest comes first", () => {
  const from = facts(
    "v1.1",
    { name: "v1.0", version: "stable" },
    { name: "1.0.0", version: "stable" },
    { name: "v1.1", revision: "stable" },
  );
  expect(taken(from)).toEqual(["1.0.0", "v1.0"]);
});

test("another spelling of the same semantic version is not below it", () => {
  const from = facts(
    "v1.1",
    { name: "1.1.0", version: "stable" },
    { name: "v1.1", revision: "stable" },
  );
  expect(taken(from)).toEqual([]);
});

test("versions go by sequence where the one to leave has no semantic version", () => {
  const from = facts(
    "nightly-3",
    { name: "v9.0", version: "stable" },
    { name: "nightly-1", version: "stable" },
    { name: null, version: "stable" },
    { name: "nightly-3", revision: "stable" },
    { name: "nightly-4", version: "stable" },
  );
  expect(taken(from)).toEqual([null, "nightly-1", "v9.0"]);
  for (const { why } of chooseTargets(from).targets)
    expect(why).toContain("highest lower sequence");
});

test("a version that was never judged is no target", () => {
  const from = facts("v1.1", { name: "v1.0" }, { name: "v1.1", revision: "stable" });
  expect(chooseTargets(from).passedOver).toEqual([{ version: "v1.0", why: "pending" }]);
});

test("a lower version that was served later goes back to its own revision", () => {
  const versions = [versionOf(1, "v1.0"), { ...versionOf(2, "v0.9"), status: "stable" as const }];
  const [newer, older] = versions;
  if (newer === undefined || older === undefined) throw new Error("there are two");
  const leaving = revision(1, newer, "stable");
  const choose = (status: RevisionStatus): ReturnType<typeof chooseTargets> =>
    chooseTargets({
      leaving,
      revisions: [leaving, revision(2, older, status, "not here")],
      versions,
      contract: signatureOf(),
      proof: () => proven,
    });
  expect(choose("stable").targets).toMatchObject([{ revision: 2, version: { name: "v0.9" } }]);
  expect(choose("provisional").targets).toMatchObject([{ revision: 2 }]);
  for (const status of ["failed", "aborted", "rejected"] as const)
    expect(choose(status)).toEqual({
      targets: [],
      passedOver: [{ version: "v0.9", why: `${status}: not here` }],
    });
});

test("of the later revisions of a lower version the newest stable one is gone back to, as it was configured", () => {
  const left = revision(1, versionOf(2, "v1.0"), "stable");
  const lower = { ...versionOf(1, "v0.9"), status: "stable" as const };
  const tuned = { ...lower, runtime: { kind: "onnx", file: "quantized.onnx" } as const };
  const choose = (...later: readonly Revision[]): ReturnType<typeof chooseTargets> =>
    chooseTargets({
      leaving: left,
      revisions: [left, ...later],
      versions: [lower, versionOf(2, "v1.0")],
      contract: signatureOf(),
      proof: () => proven,
    });
  const { targets } = choose(
    revision(2, lower, "stable"),
    revision(3, tuned, "stable"),
    revision(4, lower, "failed"),
  );
  expect(targets).toMatchObject([
    {
      revision: 3,
      version: { runtime: tuned.runtime },
      why: "a stable version of the model, the highest lower version; revision 3",
    },
  ]);
});

test("what was passed over twice for one reason is named once, for two reasons twice", () => {
  const again = versionOf(1, "v1.0");
  const left = revision(4, versionOf(2, "v1.1"), "stable");
  const { passedOver } = chooseTargets({
    leaving: left,
    revisions: [
      revision(1, again, "failed", "latency"),
      revision(2, again, "failed", "error rate"),
      revision(3, again, "failed", "error rate"),
      left,
    ],
    versions: [again],
    contract: signatureOf(),
    proof: () => proven,
  });
  expect(passedOver).toEqual([
    { version: "v1.0", why: "failed: error rate" },
    { version: "v1.0", why: "failed: latency" },
  ]);
});

test("nothing is proven that is no candidate for it", () => {
  const asked: string[] = [];
  const from = facts(
    "v1.2",
    { name: "v1.0", revision: "stable" },
    { name: "v1.1", revision: "failed" },
    { name: "v0.9", version: "archived" },
    { name: "v1.2", revision: "stable" },
  );
  chooseTargets({
    ...from,
    proof: (digest) => {
      asked.push(digest);
      return proven;
    },
  });
  expect(asked).toEqual([digestOf(1)]);
});

const spellings: readonly (readonly [string, string | null])[] = [
  ["v1", "1.0.0"],
  ["V1.2", "1.2.0"],
  ["1.2.3", "1.2.3"],
  ["v2.0-rc1", "2.0.0-rc1"],
  ["v2.0.1+build.5", "2.0.1"],
  ["v1.2.3.4", null],
  ["v01.2", null],
  ["nightly", null],
  ["v", null],
  ["", null],
  ["v1.", null],
  ["1.2\n", null],
  [`v${"9".repeat(400)}`, null],
];
for (const [name, version] of spellings)
  test(`${JSON.stringify(name.slice(0, 20))} spells ${version ?? "no semantic version"}`, () => {
    expect(semanticVersion(name)?.version ?? null).toBe(version);
  });

const named = (force: boolean, ...parts: Parameters<typeof namedObjection>): string | null =>
  namedObjection(parts[0], parts[1], parts[2], { force });

test("a named version is proven like any: status, signature, samples and digest", () => {
  const from = facts("v1.1", { name: "v1.0" }, { name: "v1.1", revision: "stable" });
  const pending = versionOf(1, "v1.0");
  const bad: readonly (readonly [VersionFacts, RevisionStatus | null, string])[] = [
    [{ ...pending, status: "archived" }, null, "archived"],
    [{ ...pending, status: "failed", statusReason: "slow" }, null, "failed: slow"],
    [pending, "failed", "failed: here"],
    [pending, "aborted", "aborted: here"],
    [pending, "rejected", "rejected: here"],
    [
      { ...pending, signature: signatureOf("FP64") },
      null,
      "signature: input amount became FP64 (was FP32)",
    ],
  ];
  for (const [version, status, why] of bad) {
    const own = status === null ? null : revision(9, version, status, "here");
    expect(named(false, version, own, from, { force: false })).toBe(why);
    expect(named(true, version, own, from, { force: true }), "--force overrides it").toBeNull();
  }
  expect(named(false, pending, null, from, { force: false })).toBeNull();
  expect(
    named(false, { ...pending, status: "failed" }, revision(9, pending, "stable"), from, {
      force: false,
    }),
    "status is local first",
  ).toBeNull();
});

test("--force overrides golden samples, never a digest", () => {
  const samples: Proof = { holds: false, why: "sample 3 differs", samplesOnly: true };
  const digest: Proof = { holds: false, why: "model.onnx does not match its digest" };
  const from = facts("v1.1", { name: "v1.0" }, { name: "v1.1", revision: "stable" });
  const version = versionOf(1, "v1.0");
  const objected = (proof: Proof, force: boolean): string | null =>
    namedObjection(version, null, { ...from, proof: () => proof }, { force });
  expect(objected(samples, false)).toBe("sample 3 differs");
  expect(objected(samples, true)).toBeNull();
  expect(objected(digest, false)).toBe("model.onnx does not match its digest");
  expect(objected(digest, true)).toBe("model.onnx does not match its digest");
});
