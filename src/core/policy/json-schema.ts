import * as z from "zod";

import { policyFileSchema } from "./file-schema.ts";

/** Where a server answers with the JSON Schema of policy files. */
export const POLICY_SCHEMA_PATH = "/schemas/lastgood.json";

/** JSON Schema (draft 7, which editors know best) of `lastgood.yaml`. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(policyFileSchema, {
    io: "input",
    target: "draft-7",
  });
  return {
    $schema,
    title: "lastgood.yaml",
    description: "How versions of a model reach an endpoint and leave it again",
    ...schema,
  };
}
