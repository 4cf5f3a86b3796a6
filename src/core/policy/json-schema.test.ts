import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { policyJsonSchema } from "./index.ts";

const docs = join(import.meta.dirname, "../../../docs");

/** A schema's part, looked up key by key. */
function at(...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (value as Record<string, unknown>)[key],
    policyJsonSchema(),
  );
}

test("the committed schema is the one that files are read with (`npm run schema` writes it)", () => {
  const written = readFileSync(join(docs, "reference/lastgood.schema.json"), "utf8");
  expect(written).toBe(`${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
});

test("it tells an editor what may be written, and what holds otherwise", () => {
  expect(at("$schema")).toBe("http://json-schema.org/draft-07/schema#");
  expect(at("required")).toEqual(["model"]);
  expect(at("additionalProperties")).toBe(false);
  expect(at("properties", "rollout", "properties", "bake")).toMatchObject({
    default: "1h",
    description: expect.stringContaining("Watch") as string,
  });
  expect(at("properties", "rollout", "properties", "holdback", "anyOf", "1")).toEqual({
    type: "number",
    minimum: 0,
    maximum: 0.5,
  });
  const metric = ["properties", "analysis", "properties", "metrics"] as const;
  expect(at(...metric, "additionalProperties", "oneOf")).toHaveLength(13);
});

/** Every key that the schema knows, at any depth. */
function keysOf(value: unknown, into = new Set<string>()): ReadonlySet<string> {
  if (typeof value !== "object" || value === null) return into;
  if ("properties" in value && typeof value.properties === "object" && value.properties !== null)
    for (const key of Object.keys(value.properties)) into.add(key);
  for (const child of Object.values(value)) keysOf(child, into);
  return into;
}

test("the reference explains every key", () => {
  const page = readFileSync(join(docs, "reference/policy.md"), "utf8");
  const missing = [...keysOf(policyJsonSchema())].filter((key) => !page.includes(`\`${key}\``));
  expect(missing).toEqual([]);
});
