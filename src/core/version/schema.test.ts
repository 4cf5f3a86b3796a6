import fc from "fast-check";
import { expect, test } from "vitest";

import type { GoldenSample } from "./golden.ts";
import { digestSchema, versionNameSchema } from "./name-schema.ts";
import {
  artefactFileSchema,
  manifestSchema,
  sampleFromWire,
  sampleToWire,
  signatureSchema,
} from "./schema.ts";
import { versionLabel } from "./version.ts";

const digest = `sha256:${"0".repeat(64)}`;

const outside = [
  "",
  "/etc/passwd",
  "../x",
  "a/../../x",
  "a//b",
  "./a",
  "a/.",
  "a\\b",
  "a\0b",
  "a/",
];
for (const path of [...outside, "x".repeat(513)])
  test(`a version has no file ${JSON.stringify(path.slice(0, 20))}`, () => {
    expect(artefactFileSchema.safeParse({ path, digest, size: 1 }).success).toBe(false);
  });

test("a file lies inside its version", () => {
  for (const path of ["model.onnx", "data/labels.txt", "..a/b..", "MLmodel"])
    expect(artefactFileSchema.safeParse({ path, digest, size: 0 }).success).toBe(true);
});

test("a schema refuses what the parse function refuses, with its words and its hint", () => {
  const refused = versionNameSchema.safeParse("latest");
  expect(refused.error?.issues[0]).toMatchObject({
    message: expect.stringContaining('"latest" cannot name a version'),
    params: { code: "name.reserved", hint: expect.stringContaining("v1.1") },
  });
  expect(digestSchema.safeParse(7).success).toBe(false);
});

test("garbage is no manifest and no signature", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(manifestSchema.safeParse(value).success).toBe(false);
      expect(signatureSchema.safeParse(value).success).toBe(false);
    }),
  );
});

test("a golden sample comes through its JSON form", () => {
  const sample: GoldenSample = {
    inputs: [{ name: "x", dtype: "FP32", shape: [1, 2], data: Float32Array.of(0.1, -0) }],
    outputs: [
      { name: "label", dtype: "BYTES", shape: [1], data: ["ja"] },
      { name: "p", kind: "maps", keys: [0, 1], values: Float64Array.of(0.25, 0.75), rows: 1 },
    ],
  };
  expect(sampleFromWire(JSON.parse(JSON.stringify(sampleToWire(sample))))).toEqual(sample);
});

test("a version is shown by its name, one without by its number", () => {
  expect(versionLabel({ name: "v1.1", sequence: 3 })).toBe("v1.1");
  expect(versionLabel({ name: null, sequence: 3 })).toBe("#3");
});
