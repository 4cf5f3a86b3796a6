import fc from "fast-check";
import { expect, test } from "vitest";

import { gtoVersions, type GitTag } from "./gto-tags.ts";

const tags = (...names: readonly (readonly [name: string, commit: string])[]): GitTag[] =>
  names.map(([name, commit], at) => ({ name, commit, at }));

test("versions are ordered by their numbers, and have the stages that hold now", () => {
  const found = gtoVersions(
    tags(
      ["fraud@v0.10.0", "c"],
      ["fraud@v0.2.0", "b"],
      ["fraud@v0.2.0-rc.1", "a"],
      ["fraud#prod#1", "b"],
      ["fraud#prod#2", "c"],
      ["fraud#dev#3", "b"],
      ["fraud#shadow#4", "c"],
      ["fraud#shadow!#5", "c"],
    ),
  );
  expect(found.map(({ version, stages }) => [version, stages])).toEqual([
    ["v0.2.0-rc.1", []],
    ["v0.2.0", ["dev"]],
    ["v0.10.0", ["prod"]],
  ]);
});

test("a stage goes by its counter, not by the order of the tags", () => {
  const [one, two] = gtoVersions(
    tags(["m@v1.0.0", "a"], ["m@v2.0.0", "b"], ["m#prod#10", "a"], ["m#prod#9", "b"]),
  );
  expect([one?.stages, two?.stages]).toEqual([["prod"], []]);
});

test("what was deregistered or deprecated is not there; another artefact is not touched", () => {
  const found = gtoVersions(
    tags(
      ["fraud@v1.0.0", "a"],
      ["fraud@v1.0.0!", "a"],
      ["fraud@v1.1.0", "b"],
      ["old@v1.0.0", "a"],
      ["old@deprecated#2", "a"],
      ["nlp=churn@v1.0.0", "a"],
    ),
  );
  expect(found.map(({ artifact, version }) => `${artifact} ${version}`)).toEqual([
    "fraud v1.1.0",
    "nlp:churn v1.0.0",
  ]);
});

test.each(["v1.2.0", "release/2026-01", "fraud@1.0.0", "fraud@latest", "#prod#1", "a b@v1.0.0"])(
  "%s is a tag of somebody else",
  (name) => {
    expect(gtoVersions(tags([name, "a"]))).toEqual([]);
  },
);

test("no tags that git could have break it", () => {
  const part = fc.constantFrom(
    "fraud",
    "@",
    "#",
    "!",
    "=",
    "v1.0.0",
    "prod",
    "1",
    "/",
    "deprecated",
  );
  const name = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.array(name), (names) => {
      const found = gtoVersions(names.map((each, at) => ({ name: each, commit: String(at), at })));
      const labels = found.map(({ artifact, version }) => `${artifact}@${version}`);
      expect(new Set(labels).size).toBe(labels.length);
    }),
  );
});
